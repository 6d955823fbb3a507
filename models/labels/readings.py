"""What label models that have not seen a decision say of its label: four readings, each out of fold.

Two teachers, rulings (few, right) and decisions (many, mostly right), and two ways to read a text, character
n-grams and the base encoder's vectors. A decision never speaks for itself: models taught by decisions leave
its fold out, and while the flagger learns from a ruling, models taught by rulings leave out every ruling of
its near-duplicate group. So what the flagger learns from looks like what it will meet. Idea: self-confidence
on out-of-fold probabilities, Northcutt et al. (2021, arXiv 1911.00068); cross-fitting, Chernozhukov et al.
(2018, arXiv 1608.00060).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix
from scipy.special import logit

from models.labels.characters import RIDGE, CharBaseline
from models.labels.classifier import HeadSpec
from models.labels.linear import Floats, Floats32, Ints, LinearHeads

READINGS = ("rulings_char", "rulings_vector", "decisions_char", "decisions_vector")
FOLDS = 5  # of the decisions
GOLD_FOLDS = 5  # of the rulings' groups
MOST = 40_000  # decisions of a head that character models learn from; more adds minutes, hardly signal
MOST_VECTORS = 12_000  # decisions of all heads together whose vectors are learned from: each must be encoded
_VECTOR_SCALE, _VECTOR_RIDGE = 20.0, 0.05
_EDGE = 1e-3
M = TypeVar("M", bound=LinearHeads)


class VectorHeads(LinearHeads):
    """Logistic regression on encoder vectors of length 1, centred."""

    def __init__(self, heads: Mapping[str, HeadSpec], centre: Floats32) -> None:
        super().__init__(heads, len(centre))
        self.centre = centre

    def untaught(self) -> VectorHeads:
        """A model of the same features that has learned nothing yet."""
        return VectorHeads(self.heads, self.centre)

    def features(self, vectors: Floats32) -> Floats32:
        """From pooled vectors (n, dim) of any length."""
        long = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return np.asarray((vectors / long - self.centre) * _VECTOR_SCALE, np.float32)


@dataclass(frozen=True)
class Lessons:
    """Rows to learn labels from: text, base vector (n, dim), head, label index, weight, fold."""

    texts: Sequence[str]
    vectors: Floats32
    heads: Sequence[str]
    labels: Ints
    weights: Floats
    fold: Ints


def fold_by_id(decision_ids: Sequence[str], folds: int = FOLDS) -> Ints:
    """The fold that leaves each decision out, shape (n,), in [0, folds)."""
    marks = (hashlib.blake2b(name.encode(), digest_size=4).digest() for name in decision_ids)
    return np.array([int.from_bytes(mark, "big") % folds for mark in marks], np.int64)


def pick(decisions: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most `most` decisions of each `head`, drawn by a hash of their ids: the same every time."""
    marks = [
        hashlib.blake2b(name.encode(), digest_size=8, salt=b"pick").digest()
        for name in decisions["decision_id"]
    ]
    order = decisions.with_columns(pl.Series("_mark", marks, pl.Binary)).sort("_mark")
    return order.group_by("head", maintain_order=True).head(most).drop("_mark")


@dataclass
class Readings:
    """The four label models. `by_rulings` are means over the folds; `by_decisions` one model a fold."""

    char_by_rulings: CharBaseline
    vector_by_rulings: VectorHeads
    char_by_decisions: list[CharBaseline]
    vector_by_decisions: list[VectorHeads]

    @classmethod
    def fit(
        cls, heads: Mapping[str, HeadSpec], gold: Lessons, decided: Lessons, decided_vectors: Lessons
    ) -> tuple[Readings, list[tuple[CharBaseline, VectorHeads]]]:
        """Learn from rulings (`gold`, folds below GOLD_FOLDS) and decisions (folds of `fold_by_id`).

        `decided` teaches the character models (its vectors are not read), `decided_vectors` the others. Also
        returns, for each gold fold, the models that left it out.
        """
        char = CharBaseline(heads)
        grams = char.learn_idf([*decided.texts, *gold.texts])
        decided_grams, gold_grams = grams[: len(decided.texts)], grams[len(decided.texts) :]
        vector = VectorHeads(heads, _centre(np.concatenate([decided_vectors.vectors, gold.vectors])))
        gold_dense = vector.features(gold.vectors)
        decided_dense = vector.features(decided_vectors.vectors)
        left_out = [
            (
                _without(k, char.untaught(), gold_grams, gold, c=RIDGE),
                _without(k, vector.untaught(), gold_dense, gold, c=_VECTOR_RIDGE),
            )
            for k in range(GOLD_FOLDS)
        ]
        readings = cls(
            char.untaught().take_mean([model for model, _ in left_out]),
            vector.untaught().take_mean([model for _, model in left_out]),
            [_without(k, char.untaught(), decided_grams, decided, c=RIDGE) for k in range(FOLDS)],
            [
                _without(k, vector.untaught(), decided_dense, decided_vectors, c=_VECTOR_RIDGE)
                for k in range(FOLDS)
            ],
        )
        return readings, left_out

    def odds(
        self,
        grams: csr_matrix,
        vectors: Floats32,
        heads: Sequence[str],
        decided: Ints,
        decision_ids: Sequence[str],
        *,
        by_rulings: tuple[CharBaseline, VectorHeads] | None = None,
    ) -> Floats:
        """Log odds against the decided label, shape (n, READINGS), within +-log(1/_EDGE).

        `grams`: the texts' features by `char_by_rulings`; `vectors`: pooled by the base encoder, (n, dim);
        `decided`: label index in the head. `by_rulings` stands in for the models taught by rulings (those
        that left the rows' fold out).
        """
        char, vector = by_rulings or (self.char_by_rulings, self.vector_by_rulings)
        names, fold = np.asarray(heads), fold_by_id(decision_ids)
        dense = self.vector_by_rulings.features(vectors)
        p = np.empty((len(names), len(READINGS)))
        for key in dict.fromkeys(heads):
            here = np.flatnonzero(names == key)
            p[here, 0] = _chance(char.head_proba(grams[here], key), decided[here])
            p[here, 1] = _chance(vector.head_proba(dense[here], key), decided[here])
            for k in range(FOLDS):
                part = here[fold[here] == k]
                if len(part):
                    p[part, 2] = _chance(
                        self.char_by_decisions[k].head_proba(grams[part], key), decided[part]
                    )
                    p[part, 3] = _chance(
                        self.vector_by_decisions[k].head_proba(dense[part], key), decided[part]
                    )
        return np.asarray(-logit(np.clip(p, _EDGE, 1 - _EDGE)))

    def save(self, folder: Path) -> None:
        """Write `baseline.*` (the characters taught by rulings) and `evidence.safetensors`."""
        self.char_by_rulings.save(folder)
        tensors = {
            "centre": self.vector_by_rulings.centre,
            **self.vector_by_rulings.tensors("rulings."),
        }
        for k in range(FOLDS):
            tensors |= self.char_by_decisions[k].tensors(f"char.{k}.")
            tensors |= self.vector_by_decisions[k].tensors(f"vector.{k}.")
        save_file(tensors, folder / "evidence.safetensors")

    @classmethod
    def load(cls, folder: Path) -> Readings:
        """Read what `save` wrote."""
        char = CharBaseline.load(folder)
        tensors = load_file(folder / "evidence.safetensors")
        chars = [CharBaseline(char.heads).take_tensors(tensors, f"char.{k}.") for k in range(FOLDS)]
        vectors = [
            VectorHeads(char.heads, tensors["centre"]).take_tensors(tensors, f"vector.{k}.")
            for k in range(FOLDS)
        ]
        by_rulings = VectorHeads(char.heads, tensors["centre"]).take_tensors(tensors, "rulings.")
        return cls(char, by_rulings, chars, vectors)


def _chance(p: Floats, label: Ints) -> Floats:
    """The probability of each row's `label`, shape (n,)."""
    return np.asarray(p[np.arange(len(p)), label])


def _centre(vectors: Floats32) -> Floats32:
    """The mean of the vectors, each scaled to length 1."""
    long = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return np.asarray((vectors / long).mean(0), np.float32)


def _without(fold: int, model: M, features: csr_matrix | Floats32, lessons: Lessons, *, c: float) -> M:
    """`model`, taught by the lessons that are not in `fold`; `features` of all of them."""
    here = np.flatnonzero(lessons.fold != fold)
    heads = [lessons.heads[i] for i in here.tolist()]
    return model.fit_features(features[here], heads, lessons.labels[here], lessons.weights[here], c=c)
