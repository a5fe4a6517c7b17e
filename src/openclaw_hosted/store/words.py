"""Words of the schema, such as phases and states, as part of a statement's text.

As parameters they would be put together anew each time that the statement is sent: a list of phases costs 70 µs, more than the
database needs to count them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Text, literal_column


def word(value: StrEnum) -> ColumnElement[str]:
    """One of them."""
    return literal_column(f"'{value.value}'", Text)


def one_of(column: ColumnElement[Any], values: Iterable[StrEnum]) -> ColumnElement[bool]:
    """Whether the column holds one of these."""
    return column.in_([word(value) for value in sorted(values)])
