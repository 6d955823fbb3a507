"""Character n-grams and logistic regression: nearly free, and a strong partner of the encoder."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize

from evenhand.workspace.files import write_text
from models.labels.classifier import HeadSpec, heads_from
from models.labels.linear import Floats, Ints, LinearHeads

FEATURES = 2**17
RIDGE = 5.0  # inverse
_MAX_CHARACTERS = 2_000  # of a text; more adds time, not signal


class CharBaseline(LinearHeads):
    """Character 2- to 5-grams (hashed, TF-IDF) and logistic regression, one a head."""

    def __init__(self, heads: Mapping[str, HeadSpec]) -> None:
        super().__init__(heads, FEATURES)
        self._hash = HashingVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), n_features=FEATURES, alternate_sign=False, norm=None
        )
        self.idf = np.ones(FEATURES, np.float32)

    def fit(
        self, texts: Sequence[str], heads: Sequence[str], labels: Ints, weights: Floats, *, c: float = RIDGE
    ) -> CharBaseline:
        """Learn from texts with head key, label index in the head and weight; all of the same length."""
        return self.fit_features(self.learn_idf(texts), heads, labels, weights, c=c)

    def learn_idf(self, texts: Sequence[str]) -> csr_matrix:
        """Learn how rare each n-gram is; returns the features of `texts`."""
        counts = self._counts(texts)
        self.idf = np.asarray(TfidfTransformer(sublinear_tf=True).fit(counts).idf_, np.float32)
        return self._scaled(counts)

    def untaught(self) -> CharBaseline:
        """A model of the same features that has learned no label yet."""
        model = CharBaseline(self.heads)
        model.idf = self.idf
        return model

    def proba(self, texts: Sequence[str], head: str) -> Floats:
        """Probabilities of the labels of `head`, shape (n, labels), rows sum to 1."""
        return self.head_proba(self.features(texts), head)

    def features(self, texts: Sequence[str]) -> csr_matrix:
        """TF-IDF rows of the texts, shape (n, FEATURES); one pass serves all heads."""
        return self._scaled(self._counts(texts))

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
        save_file({"idf": self.idf, **self.tensors()}, folder / "baseline.safetensors")
        manifest = {"heads": [asdict(spec) for spec in self.heads.values()], "rows": self.rows}
        write_text(folder / "baseline.json", json.dumps(manifest, ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: Path) -> CharBaseline:
        """Read what `save` wrote."""
        raw = json.loads((folder / "baseline.json").read_text(encoding="utf-8"))
        model = cls(heads_from(raw["heads"]))
        tensors = load_file(folder / "baseline.safetensors")
        model.idf, model.rows = tensors["idf"], raw["rows"]
        return model.take_tensors(tensors)
