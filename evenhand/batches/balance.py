"""The state of a review batch: what is open, who has it, and how many hours of review are left.

It also names the cases that nobody can rule on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from evenhand.errors import SampleError
from evenhand.records.batches import DrawRecord
from evenhand.records.people import User
from evenhand.store import Store
from evenhand.store.handing_out import HOLD, Absence, Lane, Shares, absences, is_free, share_out, week_start

#: Columns of a drawn case by which the balance can be split.
PLACES = ("market", "language", "queue", "area")
_LANE = ("market", "language")  # what decides who may rule


@dataclass(frozen=True, kw_only=True)
class QueueRow:
    """One part of the batch. `items` = ruled + skipped + open; `open` = held + planned + later + nobody."""

    place: Mapping[str, str]
    items: int
    ruled: int
    skipped: int
    open: int
    held: int  # of the open: somebody has them now
    able: tuple[str, ...]  # SMEs who are here, have room this week and may rule on some of it
    # of the open: how many would go to each person, including what they hold; a forecast
    planned: Mapping[str, int]
    later: int  # of the open: beyond this week's capacities
    nobody: int  # of the open: nobody here may rule on them
    hours: float  # of review left in the open cases


@dataclass(frozen=True, kw_only=True)
class SmeLoad:
    """What one SME did this week and what waits for them in this batch."""

    user_id: str
    done: int  # cases of any batch since Monday 00:00 UTC
    capacity: int | None  # cases a week
    held: int  # cases of this batch in flight
    planned: int  # cases of this batch that would go to them, including what they hold
    hours: float  # of review in `planned`
    absent: Absence | None
    away_until: date | None  # first day back, if they are away and it is known


@dataclass(frozen=True, kw_only=True)
class QueueBalance:
    """The balance of a batch: its parts, its people, and what a lead has to look after."""

    draw: DrawRecord
    by: tuple[str, ...]
    rows: tuple[QueueRow, ...]
    people: tuple[SmeLoad, ...]
    skip_reasons: Mapping[str, int]
    warnings: tuple[str, ...]

    def total(self, name: str) -> float:
        """Sum of a number over the rows, like "open" or "hours"."""
        return float(sum(getattr(row, name) for row in self.rows))


@dataclass(frozen=True, kw_only=True)
class OwnQueue:
    """What one person did this week, and what waits in a batch for them and for others who may rule on it."""

    done: int  # cases of any batch since Monday 00:00 UTC
    capacity: int | None  # cases a week
    waiting: int  # open cases they may rule on, without those that others have now
    in_flight: int  # open cases they may rule on that others have now
    sharing: int  # other SMEs who are here and may rule on some of `waiting`

    def __str__(self) -> str:
        week = (
            f"{self.done} this week" if self.capacity is None else f"{self.done} of {self.capacity} this week"
        )
        shared = (
            f", shared with {self.sharing} {'other' if self.sharing == 1 else 'others'}"
            if self.sharing
            else ""
        )
        elsewhere = f" · {self.in_flight} with others now" if self.in_flight else ""
        return f"You: {week} · {self.waiting} {_cases_word(self.waiting)} in your queue{shared}{elsewhere}"


def own_queue(store: Store, draw_id: str, user: User, *, at: datetime) -> OwnQueue:
    """What is in the batch for `user`. SampleError for an unknown draw."""
    people, done = store.users(), store.done_since(week_start(at))
    gone = absences(people, done, at)
    by_name = {person.user_id: person for person in people}
    mine = [item for item in store.open_items(draw_id) if user.can_rule(item.market, item.language)]
    waiting = [item for item in mine if item.holder == user.user_id or is_free(item, by_name, gone, at, HOLD)]
    lanes = {(item.market, item.language) for item in waiting}
    others = [one for one in people if one.role == "sme" and one.user_id not in {*gone, user.user_id}]
    return OwnQueue(
        done=done.get(user.user_id, 0),
        capacity=user.capacity,
        waiting=len(waiting),
        in_flight=len(mine) - len(waiting),
        sharing=sum(any(other.can_rule(*lane) for lane in lanes) for other in others),
    )


@dataclass(frozen=True)
class _Case:
    lane: Lane  # values of the columns asked for, then of market and language
    state: Literal["ruled", "skipped", "held", "free"]
    holder: str  # empty unless held


def queue_balance(
    store: Store,
    draw_id: str,
    *,
    at: datetime,
    minutes_per_case: float,
    by: Sequence[str] = _LANE,
) -> QueueBalance:
    """The balance of a batch, split by some of PLACES. SampleError for an unknown draw or column."""
    if unknown := [name for name in by if name not in PLACES]:
        raise SampleError(f"cannot split the queue by {unknown[0]!r}; use {', '.join(PLACES)}")
    by = tuple(dict.fromkeys(by))
    draw, people = store.draw(draw_id), store.users()
    done = store.done_since(week_start(at))
    gone = absences(people, done, at)
    cases = _cases(store, draw_id, by, people, gone, at)
    held = Counter(case.holder for case in cases if case.state == "held")
    waiting = Counter(case.lane for case in cases if case.state == "free")
    here = [person for person in people if person.role == "sme" and person.user_id not in gone]
    able = {lane: [one.user_id for one in here if one.can_rule(*lane[-2:])] for lane in waiting}
    room = {one.user_id: _room(one, done, held) for one in here}
    shares = share_out(waiting, able, room, held)
    rows = _rows(cases, by, able, shares, minutes_per_case / 60)
    loads = tuple(_load(one, rows, done, gone, held, minutes_per_case / 60) for one in people)
    return QueueBalance(
        draw=draw,
        by=by,
        rows=rows,
        people=tuple(one for one, person in zip(loads, people, strict=True) if person.role == "sme"),
        skip_reasons=store.skips(draw_id),
        warnings=_warnings(people, gone, waiting, able, shares),
    )


def _cases(
    store: Store,
    draw_id: str,
    by: Sequence[str],
    people: Sequence[User],
    gone: Mapping[str, Absence],
    at: datetime,
) -> list[_Case]:
    by_name = {person.user_id: person for person in people}
    is_open = {item.decision_id: item for item in store.open_items(draw_id)}
    cases = []
    for row in store.items(draw_id).select("decision_id", *PLACES, "ruled").iter_rows(named=True):
        lane = tuple(row[name] for name in (*by, *_LANE))
        item = is_open.get(row["decision_id"])
        if item is None:
            cases.append(_Case(lane, "ruled" if row["ruled"] else "skipped", ""))
        elif item.holder is None or is_free(item, by_name, gone, at, HOLD):
            cases.append(_Case(lane, "free", ""))
        else:
            cases.append(_Case(lane, "held", item.holder))
    return cases


def _room(person: User, done: Mapping[str, int], held: Mapping[str, int]) -> int | None:
    """How many more cases a person can take this week, beyond what they hold; None for any number."""
    if person.capacity is None:
        return None
    return max(0, person.capacity - done.get(person.user_id, 0) - held.get(person.user_id, 0))


def _rows(
    cases: Sequence[_Case],
    by: tuple[str, ...],
    able: Mapping[Lane, Sequence[str]],
    shares: Shares,
    hours_per_case: float,
) -> tuple[QueueRow, ...]:
    parts: dict[Lane, list[_Case]] = defaultdict(list)
    for case in cases:
        parts[case.lane[: len(by)]].append(case)
    rows = []
    for key, part in sorted(parts.items()):
        states = Counter(case.state for case in part)
        planned = Counter(case.holder for case in part if case.state == "held")
        lanes = {case.lane: None for case in part if case.state == "free"}
        for lane in lanes:
            planned.update(shares.planned[lane])
        free_to_none = Counter(case.lane for case in part if case.state == "free" and not able[case.lane])
        rows.append(
            QueueRow(
                place=dict(zip(by, key, strict=True)),
                items=len(part),
                ruled=states["ruled"],
                skipped=states["skipped"],
                open=states["held"] + states["free"],
                held=states["held"],
                able=tuple(sorted({name for lane in lanes for name in able[lane]})),
                planned=dict(sorted(planned.items())),
                later=sum(shares.later[lane] for lane in lanes),
                nobody=free_to_none.total(),
                hours=(states["held"] + states["free"]) * hours_per_case,
            )
        )
    return tuple(rows)


def _load(
    person: User,
    rows: Sequence[QueueRow],
    done: Mapping[str, int],
    gone: Mapping[str, Absence],
    held: Mapping[str, int],
    hours_per_case: float,
) -> SmeLoad:
    name = person.user_id
    planned = sum(row.planned.get(name, 0) for row in rows)
    return SmeLoad(
        user_id=name,
        done=done.get(name, 0),
        capacity=person.capacity,
        held=held.get(name, 0),
        planned=planned,
        hours=planned * hours_per_case,
        absent=gone.get(name),
        away_until=person.away_until if gone.get(name) == "away" else None,
    )


def _warnings(
    people: Sequence[User],
    gone: Mapping[str, Absence],
    waiting: Mapping[Lane, int],
    able: Mapping[Lane, Sequence[str]],
    shares: Shares,
) -> tuple[str, ...]:
    """What a lead should see: cases that nobody here can rule on, and why; cases beyond this week."""
    stuck: Counter[Lane] = Counter()
    for lane, n in waiting.items():
        if not able[lane]:
            stuck[lane[-2:]] += n
    found = []
    for (market, language), n in sorted(stuck.items()):
        who = [one for one in people if one.role == "sme" and one.can_rule(market, language)]
        where = f"{n} open {_cases_word(n)} in market {market}, language {language}"
        if who:
            why = ", ".join(f"{one.user_id} {_absence(one, gone)}" for one in who)
            found.append(f"{where}: nobody is here to rule on them ({why})")
        else:
            found.append(
                f"{where}: no SME may rule on them; add one with"
                f" `evenhand user add NAME --role sme --market {market} --language {language}`"
            )
    if later := sum(shares.later.values()):
        found.append(f"{later} open {_cases_word(later)} beyond this week's capacities; they wait for Monday")
    return tuple(found)


def _cases_word(n: int) -> str:
    return "case" if n == 1 else "cases"


def _absence(person: User, gone: Mapping[str, Absence]) -> str:
    if gone.get(person.user_id) == "capacity":
        return f"has done the {person.capacity} of this week"
    return f"is away until {person.away_until}" if person.away_until else "is away"
