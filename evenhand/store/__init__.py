"""The store keeps what people work on. SQLite embedded by default, PostgreSQL for a team.

`Store` is loaded at its first use, so that importing a room that uses it does not load a database library.
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
