"""Parts of a run: nothing twice, nothing left out, files whole."""

from __future__ import annotations

import argparse

import pytest

from tests.support.parts import Part, parse_part


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_each_test_is_in_one_part_and_files_stay_whole(request: pytest.FixtureRequest, count: int) -> None:
    items = request.session.items
    parts = [Part(number, count).choose(items) for number in range(1, count + 1)]
    assert sorted(item.nodeid for chosen, _ in parts for item in chosen) == sorted(item.nodeid for item in items)
    assert all(len(chosen) + len(left) == len(items) for chosen, left in parts)
    files = [{item.path for item in chosen} for chosen, _ in parts]
    assert all(not one & other for number, one in enumerate(files) for other in files[number + 1 :])


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "2", "a/b", "1/0", "-1/2"])
def test_what_is_no_part_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 2/4"):
        parse_part(text)


def test_a_part_is_read_as_it_is_written() -> None:
    assert parse_part("2/4") == Part(2, 4)
