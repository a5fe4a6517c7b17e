"""What people type is taken in every script, kept in one form, and refused where it harms."""

from __future__ import annotations

import unicodedata

import pytest

from openclaw_hosted.adapters.openclaw.logs import redact
from openclaw_hosted.domain.account import check_password, clean_email, fold_password
from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.naming import clean_display_name
from openclaw_hosted.domain.text import count_characters, printable

FAMILY = "👨\u200d👩\u200d👧\u200d👦"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (f"Home {FAMILY}", f"Home {FAMILY}"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ශ්\u200dරී", "ශ්\u200dරී"),
        ("Mon\u00a0assistant", "Mon assistant"),
        ("私の\u3000助手", "私の 助手"),
        ("  two \u2009  blanks ", "two blanks"),
        (unicodedata.normalize("NFD", "Büro Zoë"), "Büro Zoë"),
        ("\ufeffcopied\u200b", "copied"),
        ("עברית \u200f!", "עברית \u200f!"),
    ],
)
def test_a_name_in_any_script_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert clean_display_name(typed) == kept
    assert clean_display_name(kept) == kept


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\x85", "\n", "\t", "\u202e", "\u2066", "\u2069", "\u2028", "\u2029", "\ud800", "\uffff"])
def test_a_name_with_a_harmful_character_is_refused_and_the_character_named(char: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        clean_display_name(f"a{char}b", "label")
    (problem,) = caught.value.problems
    assert (problem.field, f"U+{ord(char):04X}" in problem.message) == ("label", True)


@pytest.mark.parametrize("name", ["\u200d", "\u00a0\u3000", "\u200e\u200f", "\u0301"])
def test_a_name_that_nobody_can_see_is_none(name: str) -> None:
    with pytest.raises(InvalidInput):
        clean_display_name(name)


@pytest.mark.parametrize(
    ("text", "characters"),
    [(FAMILY, 1), ("👍🏽", 1), ("🇩🇪🇫🇷", 2), ("🇩🇪🇫", 2), ("e\u0301", 1), ("நி", 1), ("한", 1), ("a b", 3), ("", 0)],
)
def test_characters_are_counted_as_a_person_counts_them(text: str, characters: int) -> None:
    assert count_characters(text) == characters


def test_a_name_has_a_length_for_people_and_one_for_the_database() -> None:
    assert clean_display_name(FAMILY * 60) == FAMILY * 60
    for too_long in (FAMILY * 61, "a" + "\u0301" * 1000):
        with pytest.raises(InvalidInput):
            clean_display_name(too_long)


def test_an_address_is_kept_in_one_form() -> None:
    assert clean_email(unicodedata.normalize("NFD", " ZOË@Example.com\u00a0")) == "zoë@example.com"


@pytest.mark.parametrize(
    "email", ["a\u200db@example.com", "a\u202e@example.com", "a\u00a0b@example.com", "a@example.com\x00", "a", "a@b@c"]
)
def test_an_address_that_looks_like_another_one_is_refused(email: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        clean_email(email)
    assert caught.value.problems[0].field == "email"


def test_a_password_counts_in_the_form_in_which_it_is_hashed() -> None:
    assert fold_password("cafe\u0301") == "café"
    check_password("ééééééééé1")
    for bad in (unicodedata.normalize("NFD", "ééééé"), "ﷺ" * 20, "half of it \ud800"):
        with pytest.raises(InvalidInput):
            check_password(bad)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b]52;c;cm0gLXJmIH4=\x07done", "done"),
        ("\x1b]0;title\x1b\\done", "done"),
        ("\x9d52;c;x\x9cdone", "done"),
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("ring\x07 back\x08 \x1bcreset", "ring back reset"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\tb Zoë 👩‍👩‍👧 日本", "a\tb Zoë 👩‍👩‍👧 日本"),
    ],
)
def test_what_others_wrote_is_shown_without_what_steers_a_terminal(written: str, shown: str) -> None:
    assert printable(written) == shown


def test_a_credential_is_blotted_out_though_a_sequence_cuts_it_in_two() -> None:
    assert "abcdefgh12345678" not in redact("key sk-abcd\x1b[0mefgh12345678", ())
    assert "a-secret-of-a-user" not in redact("a-secret\x1b[1m-of-a-user", ["a-secret-of-a-user"])
