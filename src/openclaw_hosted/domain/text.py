"""Words that a person types: names, labels, e-mail addresses and passwords, in one form, and without what harms.

Every script and emoji is welcome. What is refused makes a line look like another one, or breaks it in two: control characters, line and
paragraph separators, bidirectional overrides and isolates, and halves of surrogate pairs.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput

CODE_POINTS_PER_CHARACTER: Final = 8
"""The most that a line may have for each character that it may have. A family emoji has seven, and an accent is one of its own."""
_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTION: Final = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x2070), *range(0xFFF9, 0xFFFC))))
"""Bidirectional embeddings, overrides and isolates, their deprecated kin, and marks of annotations, which hide what they enclose."""
_MEANINGLESS: Final = dict.fromkeys((0x00AD, 0x180E, 0x200B, 0x2060, 0xFEFF))
"""Invisible, and left behind by a copy: soft hyphen, zero-width space, word joiner, byte order mark."""
_TERMINAL_SEQUENCES: Final = re.compile(
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]"
)
"""Operating system commands (titles, the clipboard), control sequences (colours, the cursor), and shorter escapes (ECMA-48)."""
_JOINER: Final = "\u200d"
_SKIN_TONES: Final = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_FLAG_LETTERS: Final = frozenset(map(chr, range(0x1F1E6, 0x1F200)))
_LATER_JAMO: Final = frozenset(map(chr, range(0x1160, 0x1200)))


def one_line(text: str, field: str, most: int) -> str:
    """`text` composed (NFC), each run of blanks one space, none at its ends. May be empty.

    Raises `InvalidInput` for a character that harms, and for more than `most` characters as a person counts them.
    """
    if (harmful := _first_harmful(text.strip())) is not None:
        raise InvalidInput(FieldProblem(field, f"Take out the character {harmful}; it is a control character, or one that reorders text."))
    line = folded(text)
    count = count_characters(line)
    if count > most:
        raise InvalidInput(FieldProblem(field, f"Use at most {most} characters; this has {count}."))
    if len(line) > most * CODE_POINTS_PER_CHARACTER:
        raise InvalidInput(FieldProblem(field, "Use fewer accents and joined emoji; this is too long to keep."))
    return line


def printable(text: str) -> str:
    """`text` without what steers a terminal or reorders a line: others wrote it, and it is about to be shown. Tabs stay."""
    plain = _TERMINAL_SEQUENCES.sub("", text)
    return "".join(char for char in plain if char == "\t" or not (unicodedata.category(char) in _CONTROLS or char in _DIRECTION))


def folded(text: str) -> str:
    """`text` in the form in which lines are kept and compared; what harms is still in it."""
    plain = unicodedata.normalize("NFC", text).translate(_MEANINGLESS)
    return " ".join("".join(" " if unicodedata.category(char) == "Zs" else char for char in plain).split())


def is_visible(text: str) -> bool:
    """Whether there is anything to be seen in it."""
    return any(unicodedata.category(char) not in ("Zs", "Cf", "Mn", "Me") for char in text)


def has_invisible(text: str) -> bool:
    """Whether two texts that look the same could differ by what is in this one: joiners, marks of direction, blanks."""
    return any(unicodedata.category(char) in ("Zs", "Cf") for char in text)


def count_characters(text: str) -> int:
    """Characters as a person counts them: an emoji of several parts, a flag, and a letter with its accents are one each. Approximates
    the grapheme clusters of Unicode (UAX 29) with what the standard library knows."""
    count, joined, flag_open = 0, False, False
    for char in text:
        if not (joined or _continues(char) or (flag_open and char in _FLAG_LETTERS)):
            count += 1
        flag_open = char in _FLAG_LETTERS and not flag_open
        joined = char == _JOINER
    return count


def _continues(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf") or char in _SKIN_TONES or char in _LATER_JAMO


def _first_harmful(text: str) -> str | None:
    for char in text:
        if unicodedata.category(char) in _CONTROLS or char in _DIRECTION or ord(char) & 0xFFFE == 0xFFFE:
            return f"U+{ord(char):04X}"
    return None


def without_surrogates(text: str) -> bool:
    """Whether `text` can be written as UTF-8."""
    return not any(unicodedata.category(char) == "Cs" for char in text)
