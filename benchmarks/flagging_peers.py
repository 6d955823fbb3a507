"""The peers of the flagging benchmark: each ranks decisions by how wrong they look. Higher is more suspect.

Each peer gets the decisions of one head (with the moderators' labels), their TF-IDF rows and encoder
vectors, and the rulings.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from doubtlab.ensemble import DoubtEnsemble
from doubtlab.reason import (
    CleanlabReason,
    DisagreeReason,
    LongConfidenceReason,
    ProbaReason,
    ShortConfidenceReason,
    WrongPredictionReason,
)
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestNeighbors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


@dataclass(frozen=True)
class Head:
    """The decisions of one head.

    `label` is the moderators'; `truth` is known where `ruled`; `fold` splits the rulings by group.
    """

    grams: csr_matrix
    vectors: NDArray[np.float32]  # length 1, centred, scaled
    label: Ints
    truth: Ints
    ruled: NDArray[np.bool_]
    fold: Ints
    labels: int
    ours: Floats  # label probabilities by our own classifier, shape (n, labels)


def model_for(features: csr_matrix | NDArray[np.float32]) -> OneVsRestClassifier | LogisticRegression:
    """Logistic regression as in Evenhand: one against the rest on TF-IDF, multinomial on vectors."""
    if issparse(features):
        return OneVsRestClassifier(
            LogisticRegression(C=5.0, solver="liblinear", dual=True, tol=1e-2, max_iter=5_000)
        )
    return LogisticRegression(C=0.05, tol=1e-3, max_iter=1_000)


def _spread(p: Floats, classes: Ints, labels: int) -> Floats:
    out = np.full((len(p), labels), 1e-6)
    out[:, classes] = p
    return np.asarray(out / out.sum(1, keepdims=True))


def out_of_fold(features: csr_matrix | NDArray[np.float32], head: Head, seed: int) -> Floats:
    """Label probabilities learned from the moderators' labels.

    There are 5 folds: each decision is judged by a model that has not learned from it.
    """
    p = np.empty((len(head.label), head.labels))
    for teach, judge in StratifiedKFold(5, shuffle=True, random_state=seed).split(head.label, head.label):
        there = head.label[teach]
        if len(np.unique(there)) < 2:  # all of the rare label is in the fold that is left out
            p[judge] = (np.bincount(there, minlength=head.labels) + 1) / (len(there) + head.labels)
        else:
            model = model_for(features).fit(features[teach], there)
            p[judge] = _spread(model.predict_proba(features[judge]), model.classes_, head.labels)
    return p


def scores(head: Head, seed: int) -> dict[str, Floats]:
    """Every peer's score of every decision, shape (n,) each."""
    n, rng = len(head.label), np.random.default_rng(seed)
    found: dict[str, Floats] = {"random": rng.random(n)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fold may lack a rare label
        if len(np.unique(head.label)) < 2:
            return found
        tfidf = [out_of_fold(head.grams, head, seed + k) for k in range(2)]
        dense = [out_of_fold(head.vectors, head, seed + k) for k in range(2)]
        for name, p in (("tfidf", tfidf[0]), ("encoder", dense[0]), ("ours", head.ours)):
            found |= _cleanlab(name, p, head.label)
        losses = [-np.log(np.maximum(p[np.arange(n), head.label], 1e-9)) for p in (*tfidf, *dense)]
        found["loss_out_of_sample"] = np.mean(losses, axis=0)
        found["knn_disagreement"] = _neighbours(head)
        found["aum"], found["cartography"] = _dynamics(head, seed)
        found["tfidf_on_rulings"] = _on_rulings(head)
        found["doubtlab"] = _doubtlab(head)
    return found


def _cleanlab(name: str, p: Floats, label: Ints) -> dict[str, Floats]:
    found = {
        f"cleanlab_{method}_{name}": 1
        - get_label_quality_scores(label, p, method=method, adjust_pred_probs=False)
        for method in CLEANLAB
    }
    issues = find_label_issues(label, p, return_indices_ranked_by="self_confidence", n_jobs=1)
    ranked = found[f"cleanlab_self_confidence_{name}"].copy()
    ranked[issues] += 2.0  # what confident learning filters out comes first, then the rest by self-confidence
    found[f"cleanlab_filter_{name}"] = ranked
    return found


def _neighbours(head: Head, k: int = 10) -> Floats:
    """Share of the k nearest texts with another label, by similarity (SimiFeat, arXiv 2110.06283)."""
    k = min(k, len(head.label) - 1)
    far, near = (
        NearestNeighbors(n_neighbors=k + 1, metric="cosine").fit(head.vectors).kneighbors(head.vectors)
    )
    own = near == np.arange(len(near))[:, None]
    own[~own.any(1), -1] = True  # k copies of the same text came first: drop the last neighbour
    weight = np.where(own, 0.0, 1 - far)
    other = head.label[near] != head.label[:, None]
    return np.asarray((weight * other).sum(1) / np.maximum(weight.sum(1), 1e-9))


def _dynamics(head: Head, seed: int, epochs: int = 15) -> tuple[Floats, Floats]:
    """Two measures of training, both negated.

    They are area under the margin (arXiv 2001.10528) and mean confidence (data maps, arXiv 2009.10795).
    """
    model, classes = SGDClassifier(loss="log_loss", alpha=1e-4, random_state=seed), np.unique(head.label)
    place = np.searchsorted(classes, head.label)
    margin, trust = np.zeros(len(place)), np.zeros(len(place))
    order = np.random.default_rng(seed)
    for _ in range(epochs):
        mixed = order.permutation(len(place))
        model.partial_fit(head.vectors[mixed], head.label[mixed], classes=classes)
        out = model.decision_function(head.vectors)
        logits = np.stack([-out, out], 1) if out.ndim == 1 else out
        rows = np.arange(len(place))
        own = logits[rows, place]
        rest = logits.copy()
        rest[rows, place] = -np.inf
        margin += own - rest.max(1)
        trust += model.predict_proba(head.vectors)[rows, place]
    return -margin / epochs, -trust / epochs


def _on_rulings(head: Head) -> Floats:
    """1 - p(label) by TF-IDF and logistic regression trained on the rulings; out of fold for the rulings."""
    p = np.zeros((len(head.label), head.labels))
    counted = np.zeros(len(p))
    for k in np.unique(head.fold[head.ruled]):
        teach = head.ruled & (head.fold != k)
        judge = ~head.ruled | (head.fold == k)
        if len(np.unique(head.truth[teach])) < 2:
            continue
        model = model_for(head.grams).fit(head.grams[np.flatnonzero(teach)], head.truth[teach])
        p[judge] += _spread(
            model.predict_proba(head.grams[np.flatnonzero(judge)]), model.classes_, head.labels
        )
        counted[judge] += 1
    own = p[np.arange(len(p)), head.label] / np.maximum(counted, 1)
    return np.asarray(np.where(counted > 0, 1 - own, 0.5))


def _doubtlab(head: Head) -> Floats:
    """How many of doubtlab's reasons fire, with two models of the moderators' labels that may disagree."""
    first = LogisticRegression(C=0.05, max_iter=1_000).fit(head.vectors, head.label)
    second = LogisticRegression(C=5.0, max_iter=1_000).fit(head.vectors[:, ::2], head.label)

    class Half:
        """The second model, on half of the columns."""

        def predict(self, x: NDArray[np.float32]) -> Ints:
            """Labels of the rows."""
            return np.asarray(second.predict(x[:, ::2]))

    ensemble = DoubtEnsemble(
        proba=ProbaReason(first, max_proba=0.6),
        wrong=WrongPredictionReason(first),
        short=ShortConfidenceReason(first, threshold=0.2),
        long=LongConfidenceReason(first, threshold=0.8),
        disagree=DisagreeReason(first, Half()),
        cleanlab=CleanlabReason(first),
    )
    fired = ensemble.get_predicates(head.vectors, head.label).sort_index()  # it sorts by doubt
    return np.asarray(fired.filter(like="predicate_").sum(axis=1).to_numpy(), float)
