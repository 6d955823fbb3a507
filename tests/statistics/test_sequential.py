"""Tests intervals for repeated looks: with daily looks the usual one fails, and the sequence holds."""

import json

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm
from worlds.scored_world import draw, rule, said

from cli.main import main
from evenhand.errors import EstimateError
from evenhand.rates.question import Question
from evenhand.rates.table import estimate_draws
from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw, partial_probabilities
from evenhand.statistics.estimator import domain_totals, estimates
from evenhand.statistics.repeated_looks import (
    Looks,
    daily_confidence,
    daily_critical_value,
    weekly_confidence,
)

DAYS, RUNS = 28, 120


def all_looks_hold(looks, confidence_on) -> bool:
    """Whether the interval of every look holds the truth; a look is (day, totals, truth)."""
    for day, totals, truth in looks:
        found = estimates(totals, confidence=confidence_on(day))[0]
        if not found.low <= truth <= found.high:
            return False
    return True


def a_month_of_draws(rng):
    """Each day has a new frame and a batch of 60 from it; the totals are added up."""
    totals, wrong, size = None, 0.0, 2_000
    for day in range(1, DAYS + 1):
        q = expit(-2.8 + 1.5 * rng.normal(size=size))
        y = (rng.random(size) < q).astype(float)
        pi = Design(q, 60).probabilities(0.1)
        s = pareto_draw(pi, rng.random(size))
        today = domain_totals(q, pi, s, y[s])
        totals = today if totals is None else totals + today
        wrong += y.sum()
        yield day, totals, wrong / (day * size)


def a_batch_that_grows(rng):
    """One frame; 25 more of its queue are ruled on each day."""
    q = expit(-2.8 + 1.5 * rng.normal(size=12_000))
    y = (rng.random(len(q)) < q).astype(float)
    pi = Design(q, 25 * DAYS).probabilities(0.0)
    queue = pareto_draw(pi, rng.random(len(q)))
    for day in range(2, DAYS + 1):
        s = queue[: 25 * day]
        yield day, domain_totals(q, partial_probabilities(pi, sampled=len(s), certain=0), s, y[s]), y.mean()


@pytest.mark.slow
@pytest.mark.parametrize("looks", [a_month_of_draws, a_batch_that_grows])
def test_every_daily_look_holds_together_and_naive_looks_do_not(looks):
    rng = np.random.default_rng(11)
    months = [list(looks(rng)) for _ in range(RUNS)]
    daily = np.mean([all_looks_hold(month, daily_confidence) for month in months])
    naive = np.mean([all_looks_hold(month, lambda day: 0.95) for month in months])
    assert daily >= 0.92 and naive < 0.86


@pytest.mark.slow
def test_a_fixed_number_of_weekly_looks_holds_together():
    rng = np.random.default_rng(12)
    weekly = [[look for look in a_month_of_draws(rng) if look[0] % 7 == 0] for _ in range(RUNS)]
    assert np.mean([all_looks_hold(month, lambda day: weekly_confidence(4)) for month in weekly]) >= 0.91


def test_the_price_of_daily_looks_is_what_the_source_says():
    ratio = [daily_critical_value(day) / norm.ppf(0.975) for day in (1, 7, 28, 84, 365)]
    assert ratio[2] == pytest.approx(1.55, abs=0.01) and min(ratio) >= 1.5 and max(ratio[1:]) < 2
    assert daily_critical_value(28, confidence=0.99) > daily_critical_value(28)


def test_one_weekly_look_is_the_usual_interval_and_more_are_wider():
    assert weekly_confidence(1) == 0.95
    assert norm.ppf(0.5 + weekly_confidence(12) / 2) / norm.ppf(0.975) == pytest.approx(1.46, abs=0.01)


@pytest.mark.parametrize("ask", [lambda: daily_confidence(0), lambda: weekly_confidence(0)])
def test_looks_that_never_happen_are_refused(ask):
    with pytest.raises(EstimateError, match="at least 1"):
        ask()


def test_a_reader_is_told_how_often_they_may_look(world):
    ws, store, _ = world
    drawn = draw(world, budget=400)
    rule(world, drawn, take=300)
    once, daily = estimate_draws(ws, store), estimate_draws(ws, store, Question(looks=Looks(daily=True)))
    weekly = estimate_draws(ws, store, Question(looks=Looks(weeks=12)))
    assert tuple(str(table.question.looks) for table in (once, daily, weekly)) == (
        "one look",
        "every daily look",
        "12 weekly looks",
    )
    assert once.confidence == 0.95 < weekly.confidence < daily.confidence < 1
    totals = [table.overall.total for table in (daily, weekly, once)]
    assert totals[0].low < totals[1].low < totals[2].low < totals[2].high < totals[1].high < totals[0].high
    assert [total.rate for total in totals] == pytest.approx([totals[0].rate] * 3)
    assert any("each interval holds for one look" in note for note in said(once))
    assert any("every daily look together, 1 days" in note for note in said(daily))


def test_the_command_knows_daily_and_weekly_looks(world, capsys):
    rule(world, draw(world, budget=200))
    found = []
    for words in ([], ["--daily-looks"], ["--weekly-looks", "4"]):
        assert main(["--workspace", str(world[0].root), "estimate", "--json", *words]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert [table["looks"] for table in found] == ["one look", "every daily look", "4 weekly looks"]
    assert main(["--workspace", str(world[0].root), "estimate", "--daily-looks", "--weekly-looks", "4"]) == 2
    assert "ask for one of them" in capsys.readouterr().err
