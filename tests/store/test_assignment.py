"""Tests how the cases of a batch are handed out.

Nobody gets another person's case, absences are filled, and the balance adds up.
"""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from builders import NOON, a_draw, a_ruling, an_item
from hypothesis import given
from hypothesis import strategies as st

from evenhand.errors import SampleError, UserError
from evenhand.records.people import User, reads
from evenhand.store import Store
from evenhand.store.handing_out import HOLD, share_out, week_start

LATER = NOON + HOLD


@pytest.fixture
def store(store_url):
    with Store.open(store_url) as store:
        yield store


def sme(name: str, *languages: str, **changes) -> User:
    return User(**{"user_id": name, "role": "sme", "languages": languages, **changes})


def batch(store, *languages: str, people=()) -> None:
    """A batch with one case for each of `languages`, in that order."""
    store.add_draw(a_draw(), [an_item(n, language=language) for n, language in enumerate(languages)])
    for person in people:
        store.add_user(person)


def take(store, user, at=NOON):
    """The place in the queue of the case that is handed out, or why there is none."""
    found = store.take_item("d1", user, at=at)
    return found.reason if found.item is None else found.item.position


def test_a_case_is_handed_to_one_person_and_asking_again_gives_the_same(store):
    ann, bob = sme("ann"), sme("bob")
    batch(store, "th", "th", people=(ann, bob))
    assert [take(store, ann), take(store, bob), take(store, ann)] == [0, 1, 0]
    assert take(store, sme("eve")) == "held"
    store.add_rulings([a_ruling(0), a_ruling(1)], by="ann")
    assert take(store, ann) == "finished"
    with pytest.raises(SampleError, match="no draw 'd9'"):
        store.take_item("d9", ann, at=NOON)


def test_a_case_held_too_long_goes_to_the_next_who_asks_and_the_first_may_still_rule(store):
    ann, bob = sme("ann"), sme("bob")
    batch(store, "th", people=(ann, bob))
    assert take(store, ann) == 0
    assert take(store, bob, LATER - timedelta(seconds=1)) == "held"
    assert take(store, bob, LATER) == 0
    store.rule_item(a_ruling(0, sme_id="ann"), by="ann")
    with pytest.raises(UserError, match="ann ruled on this case at 12:00 UTC, so yours is not stored"):
        store.rule_item(a_ruling(0, sme_id="bob"), by="bob")
    assert store.rulings()["sme_id"].to_list() == ["ann"]


def test_the_cases_of_somebody_who_is_away_go_to_others_who_read_them(store):
    ann, bob, eve = sme("ann", "th"), sme("bob", "th"), sme("eve", "vi")
    batch(store, "th", "th", people=(ann, bob, eve))
    assert take(store, ann) == 0
    store.set_away("ann", NOON.date(), NOON.date() + timedelta(days=7), by="lead")
    assert take(store, store.user("ann")) == "away"
    assert take(store, eve) == "finished", "nothing in her language"
    assert take(store, bob) == 0
    store.rule_item(a_ruling(0, sme_id="bob"), by="bob")
    assert take(store, store.user("ann"), NOON + timedelta(days=7)) == 1, "back, and her old case has gone"


def test_a_week_has_room_for_as_many_cases_as_a_person_can_do(store):
    ann, bob = sme("ann", capacity=2), sme("bob")
    batch(store, *["th"] * 5, people=(ann, bob))
    for n in range(2):
        assert take(store, ann) == n
        store.rule_item(a_ruling(n, sme_id="ann", ruled_at=NOON), by="ann")
    assert take(store, ann) == "capacity"
    assert take(store, ann, week_start(NOON) + timedelta(days=7)) == 2
    store.skip_item("d1", an_item(2).decision_id, sme_id="ann", reason="video gone", at=LATER)
    assert store.done_since(week_start(NOON)) == {"ann": 3}
    store.add_user(sme("ann", capacity=3))
    assert take(store, bob) == 3


def test_a_case_in_flight_of_somebody_over_capacity_goes_to_others(store):
    ann, bob = sme("ann", capacity=2), sme("bob")
    batch(store, *["th"] * 3, people=(ann, bob))
    assert take(store, ann) == 0
    store.rule_item(a_ruling(0, sme_id="ann", ruled_at=NOON), by="ann")
    assert take(store, ann) == 1
    store.add_user(sme("ann", capacity=1))
    assert take(store, bob) == 1


def test_who_alone_reads_a_language_gets_those_cases_first_and_each_language_in_queue_order(store):
    ann, bob = sme("ann", "en", "th"), sme("bob", "en")
    batch(store, "en", "th", "en", "th", people=(ann, bob))
    got = []
    for _ in range(4):
        got.append(place := take(store, ann))
        store.rule_item(a_ruling(place, sme_id="ann"), by="ann")
    assert got == [1, 3, 0, 2]


def test_a_case_leaves_whom_it_is_no_longer_for(store):
    ann, bob = sme("ann", "th"), sme("bob", "th")
    batch(store, "th", people=(ann, bob))
    assert take(store, ann) == 0
    store.add_user(sme("ann", "vi"))
    assert take(store, bob) == 0


def test_a_ruling_taken_back_returns_to_who_had_the_case(store):
    ann = sme("ann")
    batch(store, "th", "th", people=(ann,))
    take(store, ann)
    store.rule_item(a_ruling(0, sme_id="ann"), by="ann")
    assert take(store, ann) == 1
    store.undo_ruling(store.last_act("d1", sme_id="ann").act_id, by="ann")
    assert take(store, ann) == 0
    store.rule_item(a_ruling(0, sme_id="ann", label="clean", error_class=None), by="ann")
    assert take(store, ann) == 1


@pytest.mark.parametrize("everybody", [True, False])
def test_smes_who_work_at_once_never_share_a_case(store, everybody):
    cases = 60
    languages = [("th", "vi", "id")[n % 3] for n in range(cases)]
    people = [sme(f"sme{k}", *([] if everybody else ("th", ("vi", "id")[k % 2]))) for k in range(6)]
    batch(store, *languages, people=people)
    seen: list[tuple[int, str]] = []
    problems = []

    def work(user: User) -> None:
        try:
            while (item := store.take_item("d1", user, at=NOON).item) is not None:
                seen.append((item.position, user.user_id))
                store.rule_item(a_ruling(item.position, sme_id=user.user_id), by=user.user_id)
        except Exception as problem:  # noqa: BLE001  the error of a thread is an error of the test
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(user,)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert sorted(place for place, _ in seen) == list(range(cases)), "each case went to exactly one person"
    assert store.rulings().height == cases


def test_what_was_reviewed_is_a_first_part_of_each_language_but_for_cases_in_flight(store):
    people = [sme("ann", "en", "th"), sme("bob", "en"), sme("eve", "th", "vi"), sme("joe")]
    languages = [("en", "th", "vi")[(n * 7) % 3] for n in range(60)]
    batch(store, *languages, people=people)
    for step in range(35):
        user = people[(step * step) % 4]
        place = take(store, user)
        if isinstance(place, int) and step % 5:
            store.rule_item(a_ruling(place, sme_id=user.user_id), by=user.user_id)
    items = store.items("d1").sort("position")
    for (_,), lane in items.group_by("language"):
        last = lane.filter("ruled")["position"].max()
        holes = lane.filter(~lane["ruled"] & (lane["position"] < (last or 0)))
        assert holes.height <= len(people)


def test_a_region_is_read_by_who_reads_the_language_in_store_and_record(store):
    batch(store, "pt-BR", "pt", "ptx", "zh")
    assert store.progress("d1", languages=("pt",)).total == 2
    assert [reads(("pt",), tag) for tag in ("pt-BR", "pt", "ptx", "zh")] == [True, True, False, False]
    assert store.progress("d1", languages=("pt-BR", "zh-Hant")).total == 1


LANES = ("a", "b", "c")


@given(
    st.dictionaries(st.sampled_from(LANES), st.integers(0, 20), min_size=1),
    st.dictionaries(
        st.sampled_from(("ann", "bob", "eve")),
        st.tuples(st.sets(st.sampled_from(LANES)), st.none() | st.integers(0, 15)),
    ),
)
def test_shares_add_up_and_nobody_gets_more_than_they_can_do_or_read(waiting, people):
    lanes: dict[tuple[str, ...], int] = {(name,): n for name, n in waiting.items()}
    able = {lane: [p for p, (reading, _) in sorted(people.items()) if lane[0] in reading] for lane in lanes}
    shares = share_out(lanes, able, {name: room for name, (_, room) in people.items()}, {})
    for lane, n in lanes.items():
        assert set(shares.planned[lane]) <= set(able[lane])
        assert sum(shares.planned[lane].values()) + shares.later[lane] == (n if able[lane] else 0)
    for name, (_, room) in people.items():
        planned = sum(share.get(name, 0) for share in shares.planned.values())
        assert room is None or planned <= room
        if room is None or planned < room:
            assert not any(shares.later[lane] for lane in lanes if name in able[lane])


def test_shares_are_even_for_people_who_can_do_the_same():
    shares = share_out(
        {("th",): 11}, {("th",): ["ann", "bob", "eve"]}, dict.fromkeys(("ann", "bob", "eve")), {"bob": 4}
    )
    assert shares.planned == {("th",): {"ann": 5, "bob": 1, "eve": 5}}


def test_a_week_begins_on_monday_utc():
    sunday = datetime(2026, 3, 8, 23, 59, tzinfo=UTC)
    assert week_start(sunday).date() == date(2026, 3, 2)
    assert week_start(sunday + timedelta(minutes=1)).date() == date(2026, 3, 9)
