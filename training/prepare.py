"""Step 1 of training: which rulings are learned from, what each is for, and which heads there are.

No model is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import datasets
import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenhand.errors import TrainingError
from evenhand.gold import gold
from evenhand.records.policy import PolicyVersion
from evenhand.similar.groups import groups
from evenhand.store import Store
from evenhand.workspace.config import ModelConfig
from evenhand.workspace.workspace import Workspace
from models.labels.classifier import HeadSpec, build_heads
from training.examples import answers, covered, data_hash, enough, label_examples
from training.splits import split

CALIBRATED_FROM = 20  # rulings, with both outcomes, below which nothing is calibrated


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The gold of a training run. Arrays have one entry a row of `rows`, in its order."""

    policies: list[PolicyVersion]
    heads: dict[str, HeadSpec]
    where: dict[str, str]  # "version/area" -> head key
    answers: pl.DataFrame  # every label that can be given, of `training.examples.answers`
    rows: pl.DataFrame  # of `evenhand.gold.gold`, those that fit a stored policy version
    wrong: NDArray[np.float64]  # 1.0 where overturned
    group: NDArray[np.int64]  # near-duplicates share one
    part: NDArray[np.str_]  # of `training.splits.PARTS`
    left_out: str  # what is to be said of rulings that do not fit; empty for none
    data_hash: str

    def examples(self, here: NDArray[np.bool_]) -> datasets.Dataset:
        """The examples that the rulings `here` give; `place` counts these rulings."""
        return label_examples(self.rows.filter(pl.Series(here)), self.policies, self.heads, self.where)

    @property
    def for_learning(self) -> NDArray[np.bool_]:
        """Where a ruling may be learned from: outside the test part."""
        return np.asarray(self.part != "test")


def prepare(ws: Workspace, store: Store, config: ModelConfig) -> Prepared:
    """Everything that is settled before a model is seen. TrainingError if there is too little gold."""
    policies = store.policies()
    heads, where = build_heads(policies)
    known = answers(policies, where)
    rows, left_out = covered(gold(ws, store), known)
    enough(rows, left_out)
    group = groups(rows["text"].to_list(), rows["conversation_id"].to_list())
    prepared = Prepared(
        policies=policies,
        heads=heads,
        where=where,
        answers=known,
        rows=rows,
        wrong=rows["overturned"].to_numpy(),
        group=group,
        part=split(group, rows["decided_at"].to_list(), seed=config.seed),
        left_out=left_out,
        data_hash=data_hash(rows),
    )
    _check(prepared)
    return prepared


def _check(prepared: Prepared) -> None:
    wrong = prepared.wrong[prepared.for_learning]
    if len(wrong) < CALIBRATED_FROM or not 0 < wrong.sum() < len(wrong):
        raise TrainingError(
            f"{int(wrong.sum())} overturns among {len(wrong)} rulings outside the test part: too few to"
            f" calibrate p_overturn (at least {CALIBRATED_FROM} rulings with both outcomes); ingest more rulings"
        )
