"""Whatever somebody else wrote: it is a value that can be stored and written again, or it is refused, and soon."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_hosted.domain.foreign import FOREIGN_BYTES, FOREIGN_DEPTH, NotPlain, foreign_object, one_line, parse_foreign

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=20,
)


def nested(depth: int, inner: str = "") -> str:
    return '{"a":' + "[" * depth + inner + "]" * depth + "}"


@pytest.mark.parametrize(
    "body",
    [
        nested(200_000),
        '{"a":' * 200_000 + "1" + "}" * 200_000,
        "[" * 1_000_000,
        nested(FOREIGN_DEPTH),
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 5000 + "}",
        b'{"a": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        '{"a": "' + "x" * FOREIGN_BYTES + '"}',
        '"' + '\\"' * 500_000,
        "{}{}",
        "[}",
        "",
    ],
    ids=range(15),
)
def test_what_is_not_plain_is_refused(body: bytes | str) -> None:
    with pytest.raises(NotPlain):
        parse_foreign(body)
    assert foreign_object(body) is None


def test_what_is_deep_but_not_too_deep_is_read_and_brackets_in_strings_do_not_count() -> None:
    assert foreign_object(nested(FOREIGN_DEPTH - 1)) is not None
    many = {"a": "[" * 1000 + '\\"' + "{" * 1000, "b": ["]"] * 1000}
    assert foreign_object(json.dumps(many)) == many


def test_a_long_number_becomes_a_float_and_of_equal_keys_the_last_counts() -> None:
    assert foreign_object('{"a": 123456789012345678901234567890, "b": 1, "b": 123456789012345678}') == {
        "a": 1.2345678901234568e29,
        "b": 123456789012345678,
    }


@pytest.mark.parametrize("body", [r'{"\ud800": ["\udfff", "a\u0000b"]}', '{"\\uD83D\\uDE00": "x"}'])
def test_what_was_read_can_be_stored_and_written_again(body: str) -> None:
    found = foreign_object(body)
    written = json.dumps(found, ensure_ascii=False).encode()
    assert b"\x00" not in written
    assert json.loads(written) == found


def test_an_object_is_not_any_value() -> None:
    assert parse_foreign("[1]") == [1]
    assert foreign_object("[1]") is None
    assert foreign_object('\ufeff{"a": 1}') == {"a": 1}


def test_a_foreign_line_stays_one_line() -> None:
    assert one_line("\x1b[2Jgone\r\n\udc80 \x00next\x9b1m") == "[2Jgone next 1m"
    assert len(one_line("x" * 10_000)) == 1000


@given(VALUES)
def test_plain_values_are_read_as_they_are(value: object) -> None:
    text = json.dumps({"value": value})
    mended = json.loads(text.replace("\\u0000", "\\ufffd"))
    assert foreign_object(text) == (mended if "\\u0000" in text else {"value": value})
