"""An SME's ruling on the question that a moderator decided; append-only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from evenhand.errors import RecordError
from evenhand.records.checks import CONFIDENCE, SECONDS, check_id, check_plain, check_time

ErrorClass = Literal["over_enforcement", "under_enforcement", "wrong_policy", "technical", "policy_unclear"]


ERROR_CLASSES: tuple[ErrorClass, ...] = get_args(ErrorClass)


#: Why an error happened, as the SME sees it. Free text goes into the rationale.
Cause = Literal[
    "missed_context", "language", "policy_misread", "policy_gap", "tool_or_process", "slip", "unknown"
]


CAUSES: tuple[Cause, ...] = get_args(Cause)


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What an SME decided on the same question. Append-only: a correction names the one it replaces.

    `label` is the SME's label; it overturns a decision if the two differ. `draw_id` is set if the case was
    drawn, so that its inclusion probability is known. Without it the ruling is gold for training only and
    never enters an error rate.
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
            check_id(name, getattr(self, name), where)
        for name in ("decision_moderator_id", "draw_id"):
            if getattr(self, name) is not None:
                check_id(name, getattr(self, name), where)
        for name in ("cause", "rationale"):
            check_plain(name, getattr(self, name), where)
        object.__setattr__(self, "ruled_at", check_time("ruled_at", self.ruled_at, where))
        if self.error_class is not None and self.error_class not in ERROR_CLASSES:
            raise RecordError(
                f"{where}: error_class {self.error_class!r} is unknown; use one of {', '.join(ERROR_CLASSES)}"
            )
        object.__setattr__(self, "confidence", CONFIDENCE.check("confidence", self.confidence, where))
        object.__setattr__(self, "seconds", SECONDS.check("seconds", self.seconds, where))


@dataclass(frozen=True, kw_only=True)
class AddResult:
    """How many rulings were new, and how many were there already."""

    added: int
    duplicates: int
