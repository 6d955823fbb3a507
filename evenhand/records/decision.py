"""The records everything else is made of, checked where they are born.

Later code never re-checks: a `Decision` that exists is valid in form. Whether its label is in its
policy is a question for `evenhand.records.policy`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Real
from typing import Literal, cast, get_args

from evenhand.errors import RecordError

ErrorClass = Literal["over_enforcement", "under_enforcement", "wrong_policy", "technical", "policy_unclear"]
ERROR_CLASSES: tuple[ErrorClass, ...] = get_args(ErrorClass)

#: Why an error happened, as the SME sees it. Free text goes into the rationale.
Cause = Literal[
    "missed_context", "language", "policy_misread", "policy_gap", "tool_or_process", "slip", "unknown"
]
CAUSES: tuple[Cause, ...] = get_args(Cause)

#: What of a decision a frame can be filtered by, an error rate split by, and a draw spread over.
DOMAINS = (
    "market",
    "area",
    "language",
    "queue",
    "team",
    "content_type",
    "policy_version",
    "moderator_id",
    "label",
)

MAX_TEXT = 100_000
#: What a decision or a ruling can be dated: later code adds and takes away days. From the first up to, not including, the last.
FIRST_TIME, LAST_TIME = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_SURROGATE = re.compile("[\ud800-\udfff]")


def decision_id(case_id: str, area: str, moderator_id: str) -> str:
    """Stable id of one moderator's decision on one case in one area: 16 hex digits.

    >>> decision_id("c1", "hate", "m1")
    '292cbe77e19269e2'
    """
    key = "\x1f".join((case_id, area, moderator_id)).encode()
    return hashlib.blake2b(key, digest_size=8).hexdigest()


@dataclass(frozen=True, kw_only=True)
class NumberRule:
    """What a numeric field takes: a finite number from `low` to `high`, no boolean. Texts are read by `evenhand.ingest.checks`."""

    what: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.what} from {self.low:,.15g} to {self.high:,.15g}"

    def check(self, name: str, value: object, where: str) -> float | None:
        """The number as a float, never -0.0; None stays. RecordError if it breaks the rule."""
        if value is None:
            return None
        number = cast(float, value)  # for the type checker: NumPy's numbers are Real too
        if isinstance(value, bool) or not isinstance(value, Real) or not self.low <= number <= self.high:
            raise RecordError(f"{where}: {name} is {value!r}, which is no {self}; correct it or leave it out")
        return float(number) + 0.0


EXPOSURE = NumberRule(
    what="number of views", low=0, high=1e15
)  # doubles count one by one up to here, and their sums too
CONFIDENCE = NumberRule(what="confidence", low=0, high=1)
SECONDS = NumberRule(what="number of seconds", low=0, high=1e9)


def _check_plain(name: str, value: str | None, where: str) -> None:
    if value is not None and ("\x00" in value or _SURROGATE.search(value)):
        raise RecordError(f"{where}: {name} holds a NUL or a lone surrogate; clean the export")


def _check_id(name: str, value: str, where: str) -> None:
    if not value or value != value.strip():
        raise RecordError(f"{where}: {name} is empty or has outer spaces; give every row a plain {name}")
    _check_plain(name, value, where)


def _check_time(name: str, value: datetime, where: str) -> datetime:
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


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What one moderator decided on one case in one area, under exactly one policy version."""

    case_id: str
    text: str
    language: str  # BCP 47; "und" if unknown
    market: str  # where it was moderated
    queue: str
    area: str
    policy_version: str
    label: str
    moderator_id: str  # pseudonymous
    decided_at: datetime  # aware, kept as UTC
    team: str | None = None
    content_type: str | None = None
    author_id: str | None = None
    exposure: float | None = None  # views, by EXPOSURE
    action: str | None = None
    severity: str | None = None
    conversation_id: str | None = None

    def __post_init__(self) -> None:
        where = f"case {self.case_id}"
        for name in ("case_id", "market", "queue", "area", "policy_version", "label", "moderator_id"):
            _check_id(name, getattr(self, name), where)
        check_text(self.text, where)
        check_language(self.language, where)
        object.__setattr__(self, "decided_at", _check_time("decided_at", self.decided_at, where))
        for name in ("team", "content_type", "author_id", "action", "severity", "conversation_id"):
            _check_plain(name, getattr(self, name), where)
        object.__setattr__(self, "exposure", EXPOSURE.check("exposure", self.exposure, where))

    @property
    def decision_id(self) -> str:
        """Stable id of (case, area, moderator)."""
        return decision_id(self.case_id, self.area, self.moderator_id)


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What an SME decided on the same question. Append-only: a correction names the one it replaces.

    `label` is the SME's label; it overturns a decision when the two differ. `draw_id` is set when the
    case was drawn, so that its inclusion probability is known; without it the ruling is gold for
    training only and never enters an error rate.
    """

    case_id: str
    area: str
    policy_version: str
    label: str
    sme_id: str
    ruled_at: datetime  # aware, kept as UTC
    decision_moderator_id: str | None = None
    error_class: ErrorClass | None = None  # None when the decision was right
    cause: str | None = None
    confidence: float | None = None  # in [0, 1]
    rationale: str | None = None
    draw_id: str | None = None
    replaces: int | None = None  # id of the ruling this one corrects
    seconds: float | None = None  # time the SME took
    source: Literal["app", "ingest", "benchmark", "panel"] = "app"

    def __post_init__(self) -> None:
        where = f"ruling on case {self.case_id}"
        for name in ("case_id", "area", "policy_version", "label", "sme_id"):
            _check_id(name, getattr(self, name), where)
        for name in ("decision_moderator_id", "draw_id"):
            if getattr(self, name) is not None:
                _check_id(name, getattr(self, name), where)
        for name in ("cause", "rationale"):
            _check_plain(name, getattr(self, name), where)
        object.__setattr__(self, "ruled_at", _check_time("ruled_at", self.ruled_at, where))
        if self.error_class is not None and self.error_class not in ERROR_CLASSES:
            raise RecordError(
                f"{where}: error_class {self.error_class!r} is unknown; use one of {', '.join(ERROR_CLASSES)}"
            )
        object.__setattr__(self, "confidence", CONFIDENCE.check("confidence", self.confidence, where))
        object.__setattr__(self, "seconds", SECONDS.check("seconds", self.seconds, where))
