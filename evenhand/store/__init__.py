"""The store: what people touch. SQLite embedded by default, PostgreSQL for a team.

`Store` loads at its first use, so that importing a room that knows it costs no database library.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenhand.store.repository import Store

__all__ = ["Store"]


def __getattr__(name: str) -> Any:
    if name != "Store":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from evenhand.store.repository import Store

    globals()["Store"] = Store
    return Store
