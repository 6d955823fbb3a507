"""What moderators decide on texts like this one: label models learned from the decisions themselves, out of fold.

The decisions are many and mostly right, so the label that similar texts were given speaks against a lone other one. The
decision in question never speaks for itself: it is judged by the model whose fold left it out.
Idea: self-confidence on out-of-fold probabilities, Northcutt et al. (2021, arXiv 1911.00068).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.baseline import CharBaseline
from models.classifier import HeadSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FOLDS = 5
MOST = 20_000  # decisions of a head to learn from; more adds minutes, hardly signal


def fold_of(decision_ids: Sequence[str]) -> Ints:
    """The fold that leaves each decision out, shape (n,), in [0, FOLDS)."""
    marks = (hashlib.blake2b(name.encode(), digest_size=4).digest() for name in decision_ids)
    return np.array([int.from_bytes(mark, "big") % FOLDS for mark in marks], np.int64)


class Consensus:
    """One character model a fold; all share features."""

    def __init__(self, folds: Sequence[CharBaseline]) -> None:
        self.folds = list(folds)

    @classmethod
    def fit(cls, decisions: pl.DataFrame, keys: Sequence[str], heads: Mapping[str, HeadSpec]) -> Consensus:
        """Learn from decisions (decision_id, text, label), `keys` their heads; at most MOST of a head (ids are hashes, so the first are a random draw)."""
        rows = decisions.select("decision_id", "text", "label").with_columns(pl.Series("head", keys))
        rows = rows.sort("decision_id").group_by("head", maintain_order=True).head(MOST)
        fold, names = fold_of(rows["decision_id"].to_list()), rows["head"].to_list()
        labels = np.array(
            [heads[head].labels.index(label) for head, label in rows.select("head", "label").iter_rows()],
            np.int64,
        )
        first = CharBaseline(heads)
        features = first.learn_idf(rows["text"].to_list())
        folds = []
        for k in range(FOLDS):
            model = CharBaseline(heads)
            model.idf = first.idf
            here = np.flatnonzero(fold != k)
            model.fit_features(features[here], [names[i] for i in here], labels[here], np.ones(len(here)))
            folds.append(model)
        return cls(folds)

    def features(self, texts: Sequence[str]) -> csr_matrix:
        """Features of the texts, for `head_proba`."""
        return self.folds[0].features(texts)

    def head_proba(self, features: csr_matrix, fold: Ints, head: str) -> Floats:
        """How likely moderators give each label of `head` to the text, shape (n, labels); `fold` from `fold_of`."""
        out = np.empty((features.shape[0], len(self.folds[0].heads[head].labels)))
        for k in np.unique(fold):
            here = np.flatnonzero(fold == k)
            out[here] = self.folds[k].head_proba(features[here], head)
        return out

    def save(self, folder: Path) -> None:
        """Write one folder a fold."""
        for k, model in enumerate(self.folds):
            model.save(folder / f"consensus-{k}")

    @classmethod
    def load(cls, folder: Path) -> Consensus:
        """Read what `save` wrote."""
        return cls([CharBaseline.load(folder / f"consensus-{k}") for k in range(FOLDS)])
