"""The store: what people touch. SQLite embedded by default, PostgreSQL for a team.

`Store` loads at its first use, so that importing the records costs no database library.
"""

from typing import TYPE_CHECKING, Any

from evenhand.records.batches import (
    Act,
    AddResult,
    DrawnItem,
    DrawRecord,
    Handout,
    Improvement,
    LiveModel,
    OpenItem,
    QueueProgress,
    Role,
    User,
)

if TYPE_CHECKING:
    from evenhand.store.repository import Store

__all__ = [
    "Act",
    "AddResult",
    "DrawRecord",
    "DrawnItem",
    "Handout",
    "Improvement",
    "LiveModel",
    "OpenItem",
    "QueueProgress",
    "Role",
    "Store",
    "User",
]


def __getattr__(name: str) -> Any:
    if name != "Store":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from evenhand.store.repository import Store

    globals()["Store"] = Store
    return Store
