"""What the flagger learns from: readings and histories that had not seen each ruling, fold by fold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.bundle import ModelBundle
from models.encoders.encoder import Floats32
from models.flagger import FEATURES, Floats, Ints
from models.labels.characters import CharBaseline
from models.labels.readings import GOLD_FOLDS, MOST, MOST_VECTORS, Lessons, VectorHeads, fold_by_id, pick


def group_folds(group: Ints, seed: int) -> Ints:
    """Fold of each ruling by its near-duplicate group, shape (n,), in [0, GOLD_FOLDS)."""
    folds = {}
    for code in np.unique(group).tolist():
        mark = hashlib.blake2b(f"fold|{seed}|{code}".encode(), digest_size=8).digest()
        folds[code] = int.from_bytes(mark, "big") % GOLD_FOLDS
    return np.array([folds[code] for code in group.tolist()], np.int64)


def from_decisions(decisions: pl.DataFrame, labels: Ints, vectors: Floats32 | None) -> Lessons:
    """Decisions (decision_id, text, head) as rows to learn from.

    `vectors` may be left out for the character models.
    """
    return Lessons(
        texts=decisions["text"].to_list(),
        vectors=np.empty((decisions.height, 0), np.float32) if vectors is None else vectors,
        heads=decisions["head"].to_list(),
        labels=labels,
        weights=np.ones(decisions.height),
        fold=fold_by_id(decisions["decision_id"].to_list()),
    )


def decided_lessons(
    decisions: pl.DataFrame, labels: dict[str, tuple[str, ...]], pooled: Callable[[Sequence[str]], Floats32]
) -> tuple[Lessons, Lessons]:
    """Lessons for the character and for the vector models.

    They are a random part of `decisions` (decision_id, text, label, head). `labels`: the labels of each head;
    `pooled`: vectors of texts by the base encoder. Identical texts are encoded once.
    """

    def index(rows: pl.DataFrame) -> Ints:
        pairs = rows.select("head", "label").iter_rows()
        return np.array([labels[head].index(label) for head, label in pairs], np.int64)

    most = pick(decisions, MOST)
    fewer = pick(most, max(MOST_VECTORS // max(most["head"].n_unique(), 1), 1))
    distinct = fewer["text"].unique(maintain_order=True)
    place = {text: i for i, text in enumerate(distinct)}
    vectors = pooled(distinct.to_list())[[place[text] for text in fewer["text"]]]
    return from_decisions(most, index(most), None), from_decisions(fewer, index(fewer), vectors)


def fit_flagger(
    bundle: ModelBundle,
    rows: pl.DataFrame,
    vectors: Floats32,
    wrong: Floats,
    fold: Ints,
    seen: NDArray[np.bool_],
    left_out: list[tuple[CharBaseline, VectorHeads]],
) -> None:
    """Fit `bundle.flagger` on ruled decisions.

    Each fold's features come from models and histories that left it out. `rows` as for `ModelBundle.judge`
    with `weight`; `vectors` from `ModelBundle.encode`; `wrong`: 1 where overturned; `fold` in [0,
    GOLD_FOLDS); `seen`: where the fine-tuned encoder was taught by the ruling; `left_out` from
    `Readings.fit`.
    """
    flagger = bundle.flagger
    features = np.empty((rows.height, len(FEATURES)))
    for k in range(GOLD_FOLDS):
        out = fold == k
        if not out.any():
            continue
        flagger.learn_histories(rows.filter(pl.Series(~out)), wrong[~out])
        here = rows.filter(pl.Series(out))
        features[out] = bundle.features(here, bundle.view(here, vectors[out], by_rulings=left_out[k]))
    features[seen, FEATURES.index("tuned")] = np.nan
    flagger.learn_histories(rows, wrong)
    flagger.fit(features, wrong, rows["weight"].to_numpy(), fold)
