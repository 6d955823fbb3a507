"""Simulated moderators: who decides what, and which errors each of them makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Language of the text -> market where it is moderated.
MARKETS = {"en": "US", "es": "MX", "id": "ID", "ms": "MY", "tl": "PH", "vi": "VN", "th": "TH", "ar": "SA"}
TEAMS = ("cedar", "harbour", "lantern", "meadow")
HABITS = ("careful", "balanced", "balanced", "strict", "lenient", "mixes_labels", "out_of_date")
MODERATORS_PER_LANGUAGE = 5


@dataclass(frozen=True, kw_only=True)
class Moderator:
    """One simulated moderator."""

    moderator_id: str
    language: str
    team: str
    habit: str


def moderators(rng: np.random.Generator) -> list[Moderator]:
    """Five moderators for each language, each with a team and a habit."""
    people: list[Moderator] = []
    for language in MARKETS:
        for _ in range(MODERATORS_PER_LANGUAGE):
            people.append(
                Moderator(
                    moderator_id=f"m{len(people) + 1:02}",
                    language=language,
                    team=TEAMS[int(rng.integers(len(TEAMS)))],
                    habit=HABITS[int(rng.integers(len(HABITS)))],
                )
            )
    return people


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Planted errors: a kind of text that is decided wrongly in one place for some time."""

    name: str
    kind: str
    languages: tuple[str, ...]
    queue: str | None
    weeks: tuple[int, int]  # first and last, from 1
    decided: str  # the wrong label
    share: float  # of the matching decisions, in [0, 1]


CLUSTERS = (
    Cluster(
        name="game banter taken for insults",
        kind="harassment.banter",
        languages=("tl", "id"),
        queue="live",
        weeks=(1, 12),
        decided="insult",
        share=0.75,
    ),
    Cluster(
        name="old spam policy still applied",
        kind="spam.bait",
        languages=("th", "es"),
        queue=None,
        weeks=(8, 12),
        decided="no_violation",
        share=0.7,
    ),
    Cluster(
        name="home remedies waved through",
        kind="health_claims.misleading",
        languages=("vi",),
        queue=None,
        weeks=(5, 10),
        decided="no_violation",
        share=0.75,
    ),
    Cluster(
        name="shop addresses taken for private data",
        kind="privacy.business",
        languages=("ar", "ms"),
        queue=None,
        weeks=(1, 12),
        decided="exposure",
        share=0.6,
    ),
)


def wrong_label(
    moderator: Moderator,
    kind: str,
    truth: str,
    old_truth: str,
    labels: tuple[str, ...],
    rng: np.random.Generator,
) -> str | None:
    """The label that `moderator` gives by habit or by mistake; None if they decide rightly.

    `old_truth` is the right label under the previous policy version; `labels` are the area's, "no violation"
    first.
    """
    clean, near_miss = labels[0], not kind.endswith(".plain")
    draw = rng.random()
    habit = moderator.habit
    if habit == "out_of_date" and old_truth != truth and draw < 0.6:
        return old_truth
    if habit == "strict" and truth == clean and near_miss and draw < 0.28:
        return labels[1]
    if habit == "lenient" and truth != clean and draw < 0.25:
        return clean
    if habit == "mixes_labels" and truth != clean and len(labels) > 2 and draw < 0.3:
        others = [label for label in labels[1:] if label != truth]
        return others[int(rng.integers(len(others)))]
    if rng.random() < (0.008 if habit == "careful" else 0.02):
        others = [label for label in labels if label != truth]
        return others[int(rng.integers(len(others)))]
    return None
