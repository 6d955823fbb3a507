"""The ledger of live models: which model judged which policy version, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """One line of the ledger: from `since` on, this model was live for this policy version."""

    model_version: str
    policy_version: str
    since: datetime
    by: str
    note: str = ""
