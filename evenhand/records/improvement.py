"""A slice whose error rate stood out, and what was done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """A slice whose error rate stood out, and what was done about it."""

    improvement_id: str
    where: Mapping[str, str]
    found: Mapping[str, Any]  # what was measured when it was opened
    opened_at: datetime
    opened_by: str
    owner: str = ""
    cause: str = ""
    due: str = ""  # a day like 2026-03-01
    action: str = ""
    acted_at: datetime | None = None  # when the action was first written down
    measured: tuple[Mapping[str, Any], ...] = ()  # re-measures, oldest first
    closed: str = ""  # why; empty while open

    @property
    def open(self) -> bool:
        """Whether somebody should still do something."""
        return not self.closed

    def after(self, kind: str, record: Mapping[str, Any], at: datetime) -> Improvement:
        """The improvement after the next event of its log."""
        if kind == "measured":
            return replace(self, measured=(*self.measured, record))
        if kind == "closed":
            return replace(self, closed=record["reason"])
        acted = at if record.get("action") and self.acted_at is None else self.acted_at
        return replace(self, **record, acted_at=acted)
