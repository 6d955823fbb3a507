"""The rules for the fields of all records: plain ids and texts, times in range, numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Real
from typing import cast

from evenhand.errors import RecordError

MAX_TEXT = 100_000


#: The range of times for a decision or a ruling: later code adds and subtracts days. From the first up to,
#: not including, the last.
FIRST_TIME, LAST_TIME = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class NumberRule:
    """The rule for a numeric field: a finite number from `low` to `high`, no boolean.

    `evenhand.ingest.checks` applies it to numbers in files.
    """

    what: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.what} from {self.low:,.15g} to {self.high:,.15g}"

    def check(self, name: str, value: object, where: str) -> float | None:
        """The number as a float, never -0.0; None is allowed. RecordError if it breaks the rule."""
        if value is None:
            return None
        number = cast(float, value)  # for the type checker: NumPy's numbers are Real too
        if isinstance(value, bool) or not isinstance(value, Real) or not self.low <= number <= self.high:
            raise RecordError(f"{where}: {name} is {value!r}, which is no {self}; correct it or leave it out")
        return float(number) + 0.0


# doubles count one by one up to here, and their sums too
EXPOSURE = NumberRule(what="number of views", low=0, high=1e15)


CONFIDENCE = NumberRule(what="confidence", low=0, high=1)


SECONDS = NumberRule(what="number of seconds", low=0, high=1e9)


def check_plain(name: str, value: str | None, where: str) -> None:
    """Raise RecordError for a NUL or a lone surrogate; None passes."""
    if value is not None and ("\x00" in value or _SURROGATE.search(value)):
        raise RecordError(f"{where}: {name} holds a NUL or a lone surrogate; clean the export")


def check_id(name: str, value: str, where: str) -> None:
    """Raise RecordError unless `value` is a text without outer spaces."""
    if not value or value != value.strip():
        raise RecordError(f"{where}: {name} is empty or has outer spaces; give every row a plain {name}")
    check_plain(name, value, where)


def check_time(name: str, value: datetime, where: str) -> datetime:
    """`value` as UTC; RecordError without a time zone, or outside FIRST_TIME to LAST_TIME."""
    if value.tzinfo is None:
        raise RecordError(f"{where}: {name} has no time zone; write it as UTC, like 2026-03-01T09:30:00Z")
    try:
        utc = value.astimezone(UTC)
    except OverflowError:  # in the years 1 and 9999
        utc = None
    if utc is None or not FIRST_TIME <= utc < LAST_TIME:
        raise RecordError(
            f"{where}: {name} is {value}, not in the years {FIRST_TIME.year} to {LAST_TIME.year - 1}; correct it"
        )
    return utc


def check_text(text: str, where: str) -> None:
    """Raise RecordError for NUL, lone surrogates or over 100,000 characters: no later tool could store them.

    Empty and emoji-only texts pass: moderators decide those too.
    """
    if "\x00" in text:
        raise RecordError(f"{where}: text holds a NUL character; clean the export")
    if _SURROGATE.search(text):
        raise RecordError(f"{where}: text holds a lone surrogate (broken UTF-16); export it as UTF-8")
    if len(text) > MAX_TEXT:
        raise RecordError(f"{where}: text has {len(text):,} characters, at most {MAX_TEXT:,} are taken")


def check_language(language: str, where: str) -> None:
    """Raise RecordError unless `language` looks like a BCP 47 tag; `und` stands for unknown."""
    if not _LANGUAGE.fullmatch(language):
        raise RecordError(f"{where}: language {language!r} is no BCP 47 tag; use 'und' where it is unknown")
