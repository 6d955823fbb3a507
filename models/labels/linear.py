"""Linear label models over fixed features, one a head: the cheap learners behind the readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from evenhand.errors import ModelError
from models.labels.classifier import HeadSpec

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Features = csr_matrix | Floats32


class LinearHeads:
    """Logistic regressions over `width` features.

    A head with fewer than two labels among its rows answers with their shares.
    """

    def __init__(self, heads: Mapping[str, HeadSpec], width: int) -> None:
        self.heads = dict(heads)
        self.width = width
        self.coef: dict[str, Floats32] = {}  # head -> (labels, width)
        self.bias: dict[str, Floats32] = {}  # head -> (labels,)
        self.rows: dict[str, int] = dict.fromkeys(self.heads, 0)

    def fit_features(
        self, features: Features, heads: Sequence[str], labels: Ints, weights: Floats, *, c: float
    ) -> Self:
        """Learn from rows of features with head key, label index in the head and weight.

        `c` is the inverse of the ridge.
        """
        names = np.asarray(heads)
        for key, spec in self.heads.items():
            here = np.flatnonzero(names == key)
            y, w = labels[here], weights[here]
            self.rows[key] = len(here)
            shares = np.bincount(y, w, len(spec.labels)) + 1.0
            bias = np.log(shares / shares.sum())
            coef = np.zeros((len(spec.labels), self.width), np.float32)
            present = np.unique(y)
            if len(present) > 1:
                found, offsets = _fit(features[here], y, present, w, c)
                # a label without rows: rare, not impossible
                bias = np.full(len(spec.labels), offsets.min() - 3.0)
                coef[present], bias[present] = found, offsets
            self.coef[key], self.bias[key] = coef, bias.astype(np.float32)
        return self

    def head_proba(self, features: Features, head: str) -> Floats:
        """Probabilities of the labels of `head`, shape (n, labels), rows sum to 1."""
        if head not in self.coef:
            raise ModelError(f"no head {head!r}; there is {', '.join(self.coef)}")
        scores = np.asarray(features @ self.coef[head].T) + self.bias[head]
        return np.asarray(softmax(scores.astype(np.float64), axis=1))

    def take_mean(self, models: Sequence[LinearHeads]) -> Self:
        """Become the mean of models on the same features: what they say together."""
        for key in self.heads:
            self.coef[key] = np.mean([model.coef[key] for model in models], axis=0, dtype=np.float32)
            self.bias[key] = np.mean([model.bias[key] for model in models], axis=0, dtype=np.float32)
            self.rows[key] = max(model.rows[key] for model in models)
        return self

    def tensors(self, prefix: str = "") -> dict[str, NDArray[np.generic]]:
        """What was learned, by name; coefficients in half precision."""
        found: dict[str, NDArray[np.generic]] = {}
        for i, key in enumerate(self.heads):
            found[f"{prefix}coef.{i}"] = self.coef[key].astype(np.float16)
            found[f"{prefix}bias.{i}"] = self.bias[key]
        return found

    def take_tensors(self, tensors: Mapping[str, NDArray[np.generic]], prefix: str = "") -> Self:
        """Become what `tensors` gave."""
        for i, key in enumerate(self.heads):
            self.coef[key] = tensors[f"{prefix}coef.{i}"].astype(np.float32)
            self.bias[key] = tensors[f"{prefix}bias.{i}"].astype(np.float32)
        return self


def _fit(
    features: Features, y: Ints, present: Ints, weights: Floats, c: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients (labels present, width) and offsets.

    One against the rest on sparse features, multinomial on dense ones.
    """
    if issparse(features):
        pairs = present[1:] if len(present) == 2 else present
        models = [
            LogisticRegression(
                C=c, solver="liblinear", dual=True, tol=1e-2, max_iter=5_000, random_state=0
            ).fit(features, y == label, sample_weight=weights)
            for label in pairs
        ]
        coef, offsets = np.concatenate([m.coef_ for m in models]), np.array([m.intercept_[0] for m in models])
    else:
        model = LogisticRegression(C=c, tol=1e-3, max_iter=1_000).fit(features, y, sample_weight=weights)
        coef, offsets = model.coef_, model.intercept_
    if len(present) == 2:
        return np.concatenate([-coef / 2, coef / 2]), np.concatenate([-offsets / 2, offsets / 2])
    return coef, offsets
