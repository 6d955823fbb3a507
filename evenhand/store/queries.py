"""Conditions that several queries share.

They are uncorrelated subqueries on purpose: both databases hash them once, whatever their table statistics.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, or_, select

from evenhand.store.tables import ItemRow, RulingRow, SkipRow, SkipUndoRow, UndoRow


def is_current(draw_id: str | None = None) -> ColumnElement[bool]:
    """Not taken back, and not replaced by a ruling that is itself not taken back.

    With `draw_id`, for rulings of that draw only: a correction is always in the same draw as the ruling that
    it corrects, so the rest of the table is not read.
    """
    undone = select(UndoRow.ruling_id)
    replaced = select(RulingRow.replaces).where(RulingRow.replaces.is_not(None), RulingRow.id.not_in(undone))
    if draw_id is not None:
        replaced = replaced.where(RulingRow.draw_id == draw_id)
    return and_(RulingRow.id.not_in(undone), RulingRow.id.not_in(replaced))


def is_ruled(draw_id: str) -> ColumnElement[bool]:
    """The item has a current ruling, by anybody."""
    ruled = select(RulingRow.decision_id).where(
        RulingRow.draw_id == draw_id, RulingRow.decision_id.is_not(None), is_current(draw_id)
    )
    return ItemRow.decision_id.in_(ruled)


def is_skipped(draw_id: str) -> ColumnElement[bool]:
    """Somebody skipped the item, and has not taken that back."""
    return ItemRow.decision_id.in_(
        select(SkipRow.decision_id).where(SkipRow.draw_id == draw_id, is_standing())
    )


def is_standing() -> ColumnElement[bool]:
    """The skip was not taken back."""
    return SkipRow.id.not_in(select(SkipUndoRow.skip_id))


def in_slice(
    draw_id: str, markets: Sequence[str] | None, languages: Sequence[str] | None
) -> ColumnElement[bool]:
    """Items of the draw in these markets and languages; None or empty means all."""
    wanted = [ItemRow.draw_id == draw_id]
    if markets:
        wanted.append(ItemRow.market.in_(markets))
    if languages:
        tags = [func.substr(ItemRow.language, 1, len(one) + 1) == f"{one}-" for one in languages]
        # as `evenhand.records.people.reads` has it
        wanted.append(or_(ItemRow.language.in_(languages), *tags))
    return and_(*wanted)
