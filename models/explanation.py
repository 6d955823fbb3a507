"""The explanation card: one sentence, the words that carry the flag, the nearest precedents."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.bundle import ENCODER_SHARE, ModelBundle
from models.classifier import LabelModel
from models.words import pieces

Floats = NDArray[np.float64]
SHOWN_SPANS = 5
_SPAN_ENOUGH = 0.15  # share of the strongest span's weight below which a span is not shown


def explain(bundle: ModelBundle, decisions: pl.DataFrame) -> list[dict[str, Any]]:
    """One card a decision, in order.

    `decisions` has decision_id, case_id, text, area, policy_version, label, moderator_id. A card: `sentence`,
    `predicted_label`, `p_predicted`, `spans` (start, end in characters; weight in [-1, 1], above 0 speaks for an overturn),
    `precedents` (nearest rulings of the area, for and against). Spans come from leaving out one piece of text at a time: what
    the log odds of the decided label gain without it.
    """
    if decisions.is_empty():
        return []
    vectors = bundle.encode(decisions["text"])
    view = bundle.view(decisions, vectors)
    predicted, p_predicted, _ = bundle.reading(decisions, view)
    spans = _spans(bundle, decisions)
    near = bundle.precedents.nearest(vectors, decisions["area"].to_list(), decisions["case_id"].to_list())
    cards = []
    for i, row in enumerate(decisions.iter_rows(named=True)):
        precedents = [_precedent(bundle, place, cosine, row["label"]) for place, cosine in near[i]]
        cards.append(
            {
                "sentence": _sentence(row["label"], predicted[i], float(p_predicted[i]), precedents),
                "predicted_label": predicted[i],
                "p_predicted": round(float(p_predicted[i]), 4),
                "spans": spans[i],
                "precedents": precedents,
            }
        )
    return cards


def _precedent(bundle: ModelBundle, place: int, cosine: float, label: str) -> dict[str, Any]:
    row = bundle.precedents.cases.row(place, named=True)
    return {
        **{name: row[name] for name in ("case_id", "text", "language", "market", "label", "policy_version")},
        "ruled_at": row["ruled_at"].isoformat(),
        "similarity": round(cosine, 3),
        "agrees_with_decision": row["label"] == label,
    }


def _sentence(label: str, predicted: str, p: float, precedents: list[dict[str, Any]]) -> str:
    against = sum(not case["agrees_with_decision"] for case in precedents)
    if predicted == label:
        said = f"The text reads like {label} ({p:.0%}), as decided"
    else:
        said = f"Decided {label}; the text reads like {predicted} ({p:.0%})"
    if not precedents:
        return f"{said}; there is no precedent in this area yet."
    if against == 0:
        return f"{said}; the {len(precedents)} nearest precedents were ruled {label} too."
    return f"{said}; {against} of the {len(precedents)} nearest precedents were ruled otherwise."


def _odds(bundle: ModelBundle, texts: list[str], head: str, label: int) -> Floats:
    """Log odds of the label by both models, shape (n,)."""
    readers: list[tuple[float, LabelModel]] = [
        (ENCODER_SHARE, bundle.classifier),
        (1 - ENCODER_SHARE, bundle.baseline),
    ]
    mixed = sum(
        (share * model.proba(texts, head)[:, label] for share, model in readers), np.zeros(len(texts))
    )
    p = np.clip(mixed, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(p) - np.log1p(-p))


def _spans(bundle: ModelBundle, decisions: pl.DataFrame) -> list[list[dict[str, Any]]]:
    """The pieces whose absence changes the decided label's odds most; all variants of a head in one batch."""
    found: list[list[dict[str, Any]]] = [[] for _ in range(decisions.height)]
    rows = list(decisions.iter_rows(named=True))
    heads = [bundle.head_key(row["policy_version"], row["area"]) for row in rows]
    for key in dict.fromkeys(heads):
        labels = bundle.classifier.heads[key].labels
        here = [i for i, head in enumerate(heads) if head == key]
        for name in dict.fromkeys(rows[i]["label"] for i in here):
            same = [i for i in here if rows[i]["label"] == name]
            cuts = [pieces(rows[i]["text"]) for i in same]
            variants = []
            for i, spans in zip(same, cuts, strict=True):
                text = rows[i]["text"]
                variants += [text, *(text[:start] + text[end:] for start, end in spans)]
            odds = _odds(bundle, variants, key, labels.index(name))
            at = 0
            for i, spans in zip(same, cuts, strict=True):
                gain = odds[at + 1 : at + 1 + len(spans)] - odds[at]
                at += 1 + len(spans)
                found[i] = _strongest(spans, gain)
    return found


def _strongest(spans: list[tuple[int, int]], gain: Floats) -> list[dict[str, Any]]:
    """At most SHOWN_SPANS pieces, in text order, weights relative to the strongest."""
    if not spans or np.abs(gain).max() < 1e-6:
        return []
    weight = gain / np.abs(gain).max()
    top = np.argsort(-np.abs(weight), kind="stable")[:SHOWN_SPANS]
    return [
        {"start": spans[i][0], "end": spans[i][1], "weight": round(float(weight[i]), 3)}
        for i in sorted(top.tolist())
        if abs(weight[i]) >= _SPAN_ENOUGH
    ]
