"""The languages of users' pages: which there are, which one a request gets, and how times and amounts are put in each.

Texts are written in English where they are used; a catalogue beside this file (`languages/`) has them in another language. What an
operator reads, and what programs read, is English.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Final, TypeVar

from fastapi import Request
from fastapi.responses import Response

from openclaw_hosted.domain.restore_point import age_of
from openclaw_hosted.domain.room import in_gigabytes

CATALOGUES: Final = Path(__file__).parent / "languages"
COOKIE: Final = "language"
COOKIE_SECONDS: Final = 365 * 86_400
HEADER_LENGTH: Final = 300
"""So much of Accept-Language is read."""
MINUTE_SECONDS: Final = 60
ABOUT_SECONDS: Final = 5
HOURS_A_DAY: Final = 24
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


Code = TypeVar("Code", bound=str)


def instant(at: float) -> datetime:
    """Seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(at, UTC)


@dataclass(frozen=True, slots=True)
class Language:
    """A language, by its code (ISO 639) and its own name, with the signs that part a number's digits."""

    code: str
    name: str
    translations: NullTranslations = field(repr=False)
    patterns: Sequence[tuple[re.Pattern[str], str]] = field(default=(), repr=False)
    """Texts with values in them, and their translations."""
    point: str = "."
    comma: str = ","

    def say(self, text: str | None) -> str:
        """A text that was written elsewhere, such as an error: as the catalogue has it, or as it is. In the catalogue `{}` stands for
        each value that the text was made with."""
        if not text or self is ENGLISH:
            return text or ""
        said = self.translations.gettext(text)
        if said is not text:
            return said
        for pattern, translation in self.patterns:
            found = pattern.fullmatch(text)
            if found is not None:
                return translation.format(*(self.say(value) for value in found.groups()))
        return text

    def table(self, words: Mapping[Code, str]) -> dict[Code, str]:
        """A table of words."""
        return {code: self.say(text) for code, text in words.items()}

    def number(self, value: float, digits: int = 0) -> str:
        """A number, its thousands parted: `12,345.6`."""
        return f"{value:,.{digits}f}".translate({ord(","): self.comma, ord("."): self.point})

    def duration(self, seconds: float) -> str:
        """A duration: `40 ms`, `1.2 s`, `3 min 5 s`."""
        if seconds < 1:
            return f"{max(0, round(seconds * 1000))} ms"
        if seconds < MINUTE_SECONDS:
            return f"{self.number(seconds, 1)} s"
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"

    def about(self, seconds: float) -> str:
        """A duration that nobody should count on to the second: `25 seconds`, `3 minutes`."""
        _ = self.translations.gettext
        if seconds > MINUTE_SECONDS:
            return _("%(count)s minutes") % {"count": math.ceil(seconds / MINUTE_SECONDS)}
        return _("%(count)s seconds") % {"count": max(1, math.ceil(seconds / ABOUT_SECONDS)) * ABOUT_SECONDS}

    def age(self, seconds: float) -> str:
        """For how long something has been: `3 hours`. Whole minutes, hours or days, rounded down."""
        ngettext = self.translations.ngettext
        unit, count = age_of(seconds)
        if not count:
            return self.translations.gettext("less than a minute")
        words = {
            "day": ngettext("%(count)s day", "%(count)s days", count),
            "hour": ngettext("%(count)s hour", "%(count)s hours", count),
            "minute": ngettext("%(count)s minute", "%(count)s minutes", count),
        }
        return words[unit] % {"count": count}

    def every(self, hours: float) -> str:
        """A period: `every day`, `every 12 hours`."""
        _ = self.translations.gettext
        if hours == HOURS_A_DAY:
            return _("every day")
        return _("every hour") if hours == 1 else _("every %(count)s hours") % {"count": f"{hours:g}".replace(".", self.point)}

    def moment(self, at: float) -> str:
        """A time to the minute, in UTC: `3 March 2026, 14:05 UTC`."""
        when = instant(at)
        values = {"day": when.day, "month": self.say(MONTHS[when.month - 1]), "year": when.year, "time": f"{when:%H:%M}"}
        return self.translations.gettext("%(day)s %(month)s %(year)s, %(time)s UTC") % values

    def bytes(self, count: int) -> str:
        """A size: `0.4 MB`, `12 MB`, `1.3 GB`."""
        megabytes = count / 1_000_000
        if megabytes >= 1000:
            return f"{self.number(megabytes / 1000, 1)} GB"
        return f"{self.number(megabytes)} MB" if megabytes >= 10 else f"{self.number(max(megabytes, 0.1), 1)} MB"

    def gigabytes(self, count: int) -> str:
        """A size of a disk: `12.3 GB`."""
        return in_gigabytes(count).replace(".", self.point)


def load(code: str, name: str, *, point: str, comma: str) -> Language:
    """A language with its catalogue."""
    with (CATALOGUES / f"{code}.mo").open("rb") as file:
        translations = GNUTranslations(file)
    texts: Mapping[str, str] = translations._catalog  # type: ignore[attr-defined]  # noqa: SLF001 - gettext itself does not list them
    patterns = [
        (re.compile("(.+?)".join(map(re.escape, text.split("{}"))), re.DOTALL), translation)
        for text, translation in texts.items()
        if "{}" in text
    ]
    return Language(code, name, translations, patterns, point, comma)


ENGLISH: Final = Language("en", "English", NullTranslations())
LANGUAGES: Final[Mapping[str, Language]] = {
    each.code: each
    for each in (
        ENGLISH,
        load("de", "Deutsch", point=",", comma="."),
    )
}


def language_of(request: Request) -> Language:
    """The one that the visitor chose in this browser, or the first that the browser asks for and we have, or English."""
    return LANGUAGES.get(request.cookies.get(COOKIE, "")) or accepted(request.headers.get("accept-language", ""))


def accepted(header: str) -> Language:
    """The best language for an Accept-Language header."""
    wishes: list[tuple[float, Language]] = []
    for wish in header[:HEADER_LENGTH].split(","):
        tag, _, rest = wish.strip().partition(";")
        language = LANGUAGES.get(tag.strip().lower().partition("-")[0])
        weight = _weight(rest)
        if language is not None and weight > 0:
            wishes.append((weight, language))
    return max(wishes, key=lambda wish: wish[0], default=(1.0, ENGLISH))[1]


def _weight(text: str) -> float:
    try:
        return float(text.strip().removeprefix("q=") or 1)
    except ValueError:
        return 0.0


def choose(response: Response, code: str) -> Response:
    """Have this browser get its pages in that language; one that we don't have changes nothing."""
    if code in LANGUAGES:
        response.set_cookie(COOKIE, code, max_age=COOKIE_SECONDS, httponly=True, samesite="lax")
    return response
