"""SMEs make errors too: which rulings a panel checks, so that the rate can be corrected.

At an error rate of 4%, an SME who wrongly overturns 2% of the right decisions raises the rate by half. A
panel that checks what SMEs overturned, and a part of what they confirmed, corrects this (two-phase sampling:
Sarndal, Swensson and Wretman 1992, ch. 9). It checks all overturns. Of the confirmations it checks about 15%,
with probability proportional to sqrt(p) / pi: more where a wrongly confirmed decision is likely and has much
weight. The probabilities depend on the draw alone, and the choice on a hash. So neither needs to be stored,
and both are always the same.
"""

from __future__ import annotations

import numpy as np

from evenhand.statistics.arrays import Bools, Floats, Marks
from evenhand.statistics.design import capped
from evenhand.statistics.draw import uniform
from evenhand.statistics.estimator import SecondPhase

PANEL_SHARE = 0.15  # mean share of a draw's confirmations
_EDGE = 1e-6


def panel_chance(p: Floats, pi: Floats) -> Floats:
    """Probability that a confirmation goes to the panel, shape (n,), in (0, 1], mean PANEL_SHARE.

    `p`, `pi`: score and inclusion probability of every item of one draw, in the same order.
    """
    if not len(p):
        return np.empty(0)
    return capped(np.sqrt(np.clip(p, _EDGE, 1.0)) / pi, PANEL_SHARE * len(p))


def panel_asked(draw_id: str, numbers: Marks, overturned: Bools, chance: Floats) -> Bools:
    """Whether the panel is asked, shape (n,): about every overturn, and about a part of the confirmations.

    A hash picks the confirmations.
    """
    return np.asarray(overturned | (panel_order(draw_id, numbers) < chance))


def panel_order(draw_id: str, numbers: Marks) -> Floats:
    """A number in (0, 1) for each decision, from its id as a number.

    The panel works through its queue in this order, so a first part of it is random.
    """
    return uniform(f"panel|{draw_id}", numbers)


def second_phase(
    overturned: Bools, chance: Floats, asked: Bools, answered: Bools, verdict: Floats
) -> SecondPhase:
    """The panel's rulings in the form of the estimator; all of shape (n,), the reviewed items of one draw.

    `chance`: of a confirmation (`panel_chance`); an overturn's is 1. `answered`: asked, and ruled on by now.
    If the panel has not finished its queue, its open cases count as missing at random, among overturns and
    among confirmations.
    """
    share = np.ones(len(chance))
    for group in (overturned, ~overturned):
        if answered[group].any():
            share[group] = answered[group].sum() / asked[group].sum()
    return SecondPhase(
        asked=answered,
        chance=np.where(overturned, 1.0, chance) * share,
        verdict=np.where(answered, verdict, 0.0),
    )
