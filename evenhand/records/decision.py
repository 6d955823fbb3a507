"""One moderator's decision on one case in one area.

A record is checked when it is created; later code never checks it again. Whether a label is in its policy is
checked by `evenhand.records.policy`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from evenhand.records.checks import EXPOSURE, check_id, check_language, check_plain, check_text, check_time


def decision_id(case_id: str, area: str, moderator_id: str) -> str:
    """Stable id of one moderator's decision on one case in one area: 16 hex digits.

    >>> decision_id("c1", "hate", "m1")
    '292cbe77e19269e2'
    """
    key = "\x1f".join((case_id, area, moderator_id)).encode()
    return hashlib.blake2b(key, digest_size=8).hexdigest()


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
            check_id(name, getattr(self, name), where)
        check_text(self.text, where)
        check_language(self.language, where)
        object.__setattr__(self, "decided_at", check_time("decided_at", self.decided_at, where))
        for name in ("team", "content_type", "author_id", "action", "severity", "conversation_id"):
            check_plain(name, getattr(self, name), where)
        object.__setattr__(self, "exposure", EXPOSURE.check("exposure", self.exposure, where))

    @property
    def decision_id(self) -> str:
        """Stable id of (case, area, moderator)."""
        return decision_id(self.case_id, self.area, self.moderator_id)
