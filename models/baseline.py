"""Character n-grams and logistic regression: nearly free, and a strong partner of the encoder."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix
from scipy.special import softmax
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from evenhand.errors import ModelError
from evenhand.files import write_text
from models.classifier import HeadSpec, heads_from

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FEATURES = 2**17
_MAX_CHARACTERS = 2_000  # of a text; more adds time, not signal


class CharBaseline:
    """Character 2- to 5-grams (hashed, TF-IDF) and multinomial logistic regression, one a head.

    A head with fewer than two labels among its rows answers with the labels' smoothed shares.
    """

    def __init__(self, heads: Mapping[str, HeadSpec]) -> None:
        self.heads = dict(heads)
        self._hash = HashingVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), n_features=FEATURES, alternate_sign=False, norm=None
        )
        self.idf = np.ones(FEATURES, np.float32)
        self.coef: dict[str, NDArray[np.float32]] = {}  # head -> (labels, FEATURES)
        self.bias: dict[str, NDArray[np.float32]] = {}  # head -> (labels,)
        self.rows: dict[str, int] = dict.fromkeys(self.heads, 0)

    def fit(
        self, texts: Sequence[str], heads: Sequence[str], labels: Ints, weights: Floats, *, c: float = 5.0
    ) -> CharBaseline:
        """Learn from texts with head key, label index in the head and weight; all of the same length."""
        return self.fit_features(self.learn_idf(texts), heads, labels, weights, c=c)

    def learn_idf(self, texts: Sequence[str]) -> csr_matrix:
        """Learn how rare each n-gram is; returns the features of `texts`."""
        counts = self._counts(texts)
        self.idf = np.asarray(TfidfTransformer(sublinear_tf=True).fit(counts).idf_, np.float32)
        return self._scaled(counts)

    def fit_features(
        self, features: csr_matrix, heads: Sequence[str], labels: Ints, weights: Floats, *, c: float = 5.0
    ) -> CharBaseline:
        """As `fit`, from `features`."""
        names = np.asarray(heads)
        for key, spec in self.heads.items():
            here = names == key
            y, w = labels[here], weights[here]
            self.rows[key] = int(here.sum())
            shares = np.bincount(y, w, len(spec.labels)) + 1.0
            bias = np.log(shares / shares.sum())
            coef = np.zeros((len(spec.labels), FEATURES), np.float32)
            present = np.unique(y)
            if len(present) > 1:
                model = LogisticRegression(C=c, max_iter=400).fit(features[here], y, sample_weight=w)
                rows = (
                    model.coef_ if len(present) > 2 else np.concatenate([-model.coef_ / 2, model.coef_ / 2])
                )
                offsets = model.intercept_ if len(present) > 2 else np.array([-0.5, 0.5]) * model.intercept_
                bias = np.full(
                    len(spec.labels), offsets.min() - 3.0
                )  # a label without rows: rare, not impossible
                coef[present], bias[present] = rows, offsets
            self.coef[key], self.bias[key] = coef, bias.astype(np.float32)
        return self

    def proba(self, texts: Sequence[str], head: str) -> Floats:
        """Probabilities of the labels of `head`, shape (n, labels), rows sum to 1."""
        return self.head_proba(self.features(texts), head)

    def features(self, texts: Sequence[str]) -> csr_matrix:
        """TF-IDF rows of the texts, shape (n, FEATURES); one pass serves all heads."""
        return self._scaled(self._counts(texts))

    def head_proba(self, features: csr_matrix, head: str) -> Floats:
        """Probabilities of the labels of `head` from `features`."""
        if head not in self.coef:
            raise ModelError(f"the character baseline has no head {head!r}; it has {', '.join(self.coef)}")
        scores = np.asarray(features @ self.coef[head].T) + self.bias[head]
        return np.asarray(softmax(scores.astype(np.float64), axis=1))

    def _counts(self, texts: Sequence[str]) -> csr_matrix:
        clean = [unicodedata.normalize("NFKC", text[:_MAX_CHARACTERS]) for text in texts]
        counts: csr_matrix = self._hash.transform(clean)
        return counts

    def _scaled(self, counts: csr_matrix) -> csr_matrix:
        out: csr_matrix = counts.astype(np.float32)
        out.data = (1.0 + np.log(out.data)) * self.idf[out.indices]
        scaled: csr_matrix = normalize(out, copy=False)
        return scaled

    def save(self, folder: Path) -> None:
        """Write `baseline.safetensors` and `baseline.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"idf": self.idf}
        for i, key in enumerate(self.heads):
            tensors[f"coef.{i}"], tensors[f"bias.{i}"] = self.coef[key].astype(np.float16), self.bias[key]
        save_file(tensors, folder / "baseline.safetensors")
        manifest = {"heads": [asdict(spec) for spec in self.heads.values()], "rows": self.rows}
        write_text(folder / "baseline.json", json.dumps(manifest, ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: Path) -> CharBaseline:
        """Read what `save` wrote."""
        raw = json.loads((folder / "baseline.json").read_text(encoding="utf-8"))
        heads = heads_from(raw["heads"])
        model = cls(heads)
        tensors = load_file(folder / "baseline.safetensors")
        model.idf, model.rows = tensors["idf"], raw["rows"]
        for i, key in enumerate(heads):
            model.coef[key] = tensors[f"coef.{i}"].astype(np.float32)
            model.bias[key] = tensors[f"bias.{i}"]
        return model
