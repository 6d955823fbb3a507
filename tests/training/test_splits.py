"""Tests how cases are grouped and split: no group is on both sides."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenhand.similar.groups import connected, groups
from evenhand.similar.normal_form import normal_form
from training.splits import PARTS, split


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Sooo COOL!!! 😀", "soo cool"),
        ("Ｆｕｌｌ width", "full  WIDTH"),
        ("ดีมาก 555", "ดีมาก!!"),
        ("call 123", "CALL 98 7"),
    ],
)
def test_near_copies_read_the_same(a, b):
    assert normal_form(a) == normal_form(b)


@given(st.text(alphabet="กขคดีاللهहिचв", min_size=1))
def test_letters_of_other_scripts_survive(text):
    assert normal_form(text) or not any(c.isalpha() for c in text)


def test_copies_and_named_groups_hang_together_through_chains():
    code = groups(["a b", "A  b!", "c d", "e f"], [None, "g", "g", None])
    assert code[0] == code[1] == code[2] != code[3]


def test_a_group_is_called_after_its_first_case():
    assert groups(["a", "b", "a"], [None, "talk", "talk"]).tolist() == [0, 0, 0]
    assert groups([], []).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=15))
def test_what_is_linked_in_any_number_of_steps_is_one_part_and_nothing_else_is(links):
    part = np.arange(12)
    for _ in links:  # the slowest way: every link, as often as the longest chain could need
        for a, b in links:
            part[part == max(part[a], part[b])] = min(part[a], part[b])
    left, right = np.array(links, np.int64).reshape(-1, 2).T
    assert connected(12, left, right).tolist() == part.tolist()


def test_no_group_is_on_both_sides_and_the_test_part_is_the_newest():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 150, 600)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = [start + timedelta(days=int(g)) for g in group]
    part = split(group, times, seed=1)
    assert set(part) == set(PARTS)
    for code in set(group.tolist()):
        assert len(set(part[group == code])) == 1
    newest_train = max(t for t, p in zip(times, part, strict=True) if p != "test")
    assert all(t >= newest_train for t, p in zip(times, part, strict=True) if p == "test")
    assert 0.11 < (part == "test").mean() < 0.16


def test_another_seed_gives_other_parts_but_the_same_test_part():
    group = np.arange(300)
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(300)]
    a, b = split(group, times, seed=1), split(group, times, seed=2)
    assert (a != b).any() and ((a == "test") == (b == "test")).all()
