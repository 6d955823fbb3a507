"""Lists the public data sets that the benchmarks know, as prepared files; `data_cards/` has a card for each.

A file is `NAME.csv.gz` with the columns COLUMNS. Texts are never part of this repository. This module is data
only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

COLUMNS = ("case_id", "text", "language", "category", "votes", "gold", "gold_source", "split", "meta")

#: How a vote names its annotator: one person over all texts; in some rows only; by the n-th column without an
#: identity; not at all (only counts); or there are no votes.
Votes = Literal["persistent", "partial", "position", "counts", "none"]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One prepared public data set."""

    name: str
    areas: tuple[str, ...]  # values of `category`; empty: one multi-class question, `category` is empty
    labels: tuple[str, ...]  # the label for "not violating" is first
    languages: tuple[str, ...]  # ISO 639-1
    votes: Votes

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"{self.name}.csv.gz"

    @property
    def multi_class(self) -> bool:
        """Whether the set has one question with several labels, and not one row per question."""
        return not self.areas

    @property
    def clean_label(self) -> str:
        """The label that means "not violating"."""
        return self.labels[0]


_ALL = (
    DataSet(
        name="told_br",
        areas=("homophobia", "obscene", "insult", "racism", "misogyny", "xenophobia"),
        labels=("0", "1"),
        languages=("pt",),
        votes="persistent",
    ),
    DataSet(
        name="hatecheck",
        areas=("hate_speech",),
        labels=("non-hateful", "hateful"),
        languages=("en",),
        votes="persistent",
    ),
    DataSet(
        name="multilingual_hatecheck",
        areas=("hate_speech",),
        labels=("non-hateful", "hateful"),
        languages=("ar", "de", "es", "fr", "hi", "it", "nl", "pl", "pt", "zh"),
        votes="position",
    ),
    DataSet(name="gahd", areas=("hate_speech",), labels=("0", "1"), languages=("de",), votes="partial"),
    DataSet(
        name="convabuse",
        areas=(
            "abuse",
            "ableism",
            "homophobia",
            "intellectual_insult",
            "racism",
            "sexism",
            "sexual_harassment",
            "transphobia",
        ),
        labels=("0", "1"),
        languages=("en",),
        votes="persistent",
    ),
    DataSet(
        name="japanese_toxic",
        areas=("toxicity",),
        labels=("0", "unsure", "1"),
        languages=("ja",),
        votes="counts",
    ),
    DataSet(
        name="davidson",
        areas=(),
        labels=("neither", "offensive_language", "hate_speech"),
        languages=("en",),
        votes="counts",
    ),
    DataSet(
        name="openai_moderation",
        areas=(
            "violence",
            "self_harm",
            "violence_graphic",
            "harassment",
            "sexual_minors",
            "sexual",
            "hate",
            "hate_threatening",
        ),
        labels=("0", "1"),
        languages=("en",),
        votes="none",
    ),
    DataSet(name="edos", areas=("sexism",), labels=("0", "1"), languages=("en",), votes="none"),
)

#: The sets by name; the card has the same name.
SETS: dict[str, DataSet] = {data.name: data for data in _ALL}
