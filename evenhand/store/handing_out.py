"""Decides who gets which case of a review batch, and forecasts how the open cases will be shared out.

Cases are handed out one at a time, never reserved in advance: a slow or absent person leaves no gap in the
queue. Whoever asks gets the first free case of the market and language that the fewest others can rule on. So
within a market and language the cases go out in queue order, and the reviewed cases are always a first part
of the queue, apart from a few cases in flight (docs/decisions/0008-assignment.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal

from evenhand.records.batches import OpenItem
from evenhand.records.people import User

# a case that was handed out and not ruled on after this time goes to the next person who asks
HOLD = timedelta(hours=1)
Absence = Literal["away", "capacity"]
Lane = tuple[str, ...]  # values of some columns, market and language among them


def week_start(at: datetime) -> datetime:
    """Monday 00:00 UTC of the week: capacities are counted from then.

    >>> week_start(datetime(2026, 3, 4, 15, tzinfo=UTC)).isoformat()
    '2026-03-02T00:00:00+00:00'
    """
    day = at.astimezone(UTC).date()
    return datetime.combine(day - timedelta(days=day.weekday()), time(), UTC)


def absences(people: Sequence[User], done: Mapping[str, int], at: datetime) -> dict[str, Absence]:
    """Who takes no case now, and why; `done` is how many each ruled on or skipped since `week_start`."""
    found: dict[str, Absence] = {}
    for person in people:
        if person.is_away(at.astimezone(UTC).date()):
            found[person.user_id] = "away"
        elif person.capacity is not None and done.get(person.user_id, 0) >= person.capacity:
            found[person.user_id] = "capacity"
    return found


def is_free(
    item: OpenItem, people: Mapping[str, User], gone: Collection[str], at: datetime, hold: timedelta
) -> bool:
    """Whether an open case may be handed out.

    Nobody has it; or its holder is away, has held it too long, or may not rule on it any more.
    """
    if item.holder is None or item.held_since is None or item.holder in gone:
        return True
    holder = people.get(item.holder)
    if holder is not None and not holder.can_rule(item.market, item.language):
        return True
    return at - item.held_since >= hold


def first_for(
    asker: User,
    items: Sequence[OpenItem],
    people: Sequence[User],
    gone: Collection[str],
    at: datetime,
    *,
    hold: timedelta = HOLD,
) -> OpenItem | None:
    """The case that is `asker`'s next; None if no case is free for them.

    It is what they were handed last, else the first free one of those that the fewest others can rule on.
    `items` are the open cases of a batch.
    """
    mine = [item for item in items if asker.can_rule(item.market, item.language)]
    if held := [item for item in mine if item.holder == asker.user_id]:
        return max(held, key=lambda item: (item.held_since or at, -item.position))
    by_name = {person.user_id: person for person in people}
    free = [item for item in mine if is_free(item, by_name, gone, at, hold)]
    others = [p for p in people if p.role == "sme" and p.user_id != asker.user_id and p.user_id not in gone]
    lanes = {(item.market, item.language) for item in free}
    helpers = {lane: sum(other.can_rule(*lane) for other in others) for lane in lanes}
    return min(free, key=lambda item: (helpers[item.market, item.language], item.position), default=None)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How open cases would be shared out. This is a forecast and binds nobody."""

    planned: Mapping[Lane, Mapping[str, int]]  # cases of the lane that would go to each person
    later: Mapping[Lane, int]  # cases beyond this week's capacities


def share_out(
    waiting: Mapping[Lane, int],
    able: Mapping[Lane, Sequence[str]],
    room: Mapping[str, int | None],
    load: Mapping[str, int],
) -> Shares:
    """Share the cases `waiting` in each lane among those `able` to rule on them, evenly by load.

    Lanes that few can rule on come first. `room` is how many more cases a person can take (None: any number),
    `load` is how many they have. A lane that nobody can rule on gets no share, and its cases are not in
    `later`.

    >>> waiting, able = {("TH",): 2, ("US",): 3}, {("TH",): ["ann"], ("US",): ["ann", "bob"]}
    >>> share_out(waiting, able, {"ann": None, "bob": 2}, {}).planned
    {('TH',): {'ann': 2}, ('US',): {'bob': 2, 'ann': 1}}
    """
    has, left = Counter(load), dict(room)
    planned: dict[Lane, dict[str, int]] = {}
    later: dict[Lane, int] = {}
    for lane in sorted(waiting, key=lambda lane: (len(able[lane]), lane)):
        share: Counter[str] = Counter()
        for _ in range(waiting[lane]):
            there = [name for name in able[lane] if left[name] is None or (left[name] or 0) > 0]
            if not there:
                break
            name = min(there, key=lambda one: (has[one], one))
            share[name] += 1
            has[name] += 1
            if (still := left[name]) is not None:
                left[name] = still - 1
        planned[lane] = dict(share)
        later[lane] = waiting[lane] - share.total() if able[lane] else 0
    return Shares(planned=planned, later=later)
