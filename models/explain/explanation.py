"""The explanation card: a sentence, the words that carry the flag, what would change it, precedents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.bundle import ENCODER_SHARE, ModelBundle
from models.explain.deletion import Found, Read, search
from models.explain.precedents import Near
from models.explain.split_words import Span, words
from models.labels.classifier import LabelModel

Floats = NDArray[np.float64]
READ = 2_000  # characters; no label model reads further
_TOKENS = 1_600  # a case may cost about so many of the encoder's tokens: 0.25 s on one core


def explain(bundle: ModelBundle, decisions: pl.DataFrame) -> list[dict[str, Any]]:
    """One card a decision, in order.

    `decisions` has decision_id, case_id, text, language, area, policy_version, label, moderator_id. A card:

    - `sentence`: one line that says it all; names of labels stand in “ ”;
    - `predicted_label`, `p_predicted`;
    - `spans`: start, end in characters; weight in [-1, 1]: above 0 speaks for an overturn, the strongest is 1
      (what the log odds of the decided label gain when the spans above 0 are deleted together, and lose of it
      when this one stays); `flip`: is it among the words of the flip;
    - `flip`: None, or `label` and `p` that the text reads like without the spans marked `flip`
      (`models.explain.deletion.Flip`);
    - `precedents`: three rulings of the area, for and against (`Precedents.nearest`).
    """
    if decisions.is_empty():
        return []
    vectors = bundle.encode(decisions["text"])
    predicted, p_predicted, _ = bundle.predict(decisions, bundle.view(decisions, vectors))
    near = bundle.precedents.nearest(
        bundle.tuned(vectors),
        decisions["area"].to_list(),
        decisions["case_id"].to_list(),
        decisions["label"].to_list(),
    )
    rows = decisions.iter_rows(named=True)
    return [_card(bundle, row, predicted[i], float(p_predicted[i]), near[i]) for i, row in enumerate(rows)]


def _card(
    bundle: ModelBundle, row: dict[str, Any], predicted: str, p: float, near: Sequence[Near]
) -> dict[str, Any]:
    spans = words(row["text"], READ)
    labels = bundle.classifier.heads[bundle.head_key(row["policy_version"], row["area"])].labels
    found = found_in(bundle, row, spans, predicted)
    flip = {"label": labels[found.flip.label], "p": round(found.flip.p, 4)} if found.flip else None
    precedents = [_precedent(bundle, case, row["label"]) for case in near]
    return {
        "sentence": sentence(row["label"], predicted, p, precedents, flip, words=len(spans)),
        "predicted_label": predicted,
        "p_predicted": round(p, 4),
        "spans": shown(row["text"], spans, found),
        "flip": flip,
        "precedents": precedents,
    }


def found_in(bundle: ModelBundle, row: dict[str, Any], spans: Sequence[Span], predicted: str) -> Found:
    """What the decision `row` hangs on, of the words `spans` of its text."""
    key = bundle.head_key(row["policy_version"], row["area"])
    labels = bundle.classifier.heads[key].labels
    tokens = len(bundle.classifier.encoder.tokens([row["text"]])[0])
    return search(
        row["text"],
        spans,
        reader(bundle, key),
        decided=labels.index(row["label"]),
        predicted=labels.index(predicted),
        passes=_TOKENS // tokens,
    )


def reader(bundle: ModelBundle, head: str) -> Read:
    """The label probabilities of `ModelBundle.predict`: encoder and character model mixed."""
    models: tuple[tuple[float, LabelModel], ...] = (
        (ENCODER_SHARE, bundle.classifier),
        (1 - ENCODER_SHARE, bundle.baseline),
    )

    def read(texts: Sequence[str]) -> Floats:
        return np.asarray(np.sum([share * model.proba(texts, head) for share, model in models], axis=0))

    return read


def shown(text: str, spans: Sequence[Span], found: Found) -> list[dict[str, Any]]:
    """The words to mark, in text order.

    Neighbours of the same kind with nothing but space between them are one span.
    """
    marked: list[dict[str, Any]] = []
    flips = found.flip.words if found.flip else frozenset()
    for i in sorted(flips | set(found.weights)):
        (start, end), weight, flip = spans[i], round(found.weights.get(i, 0.0), 3), i in flips
        last = marked[-1] if marked else None
        if (
            last is not None
            and last["flip"] == flip
            and np.sign(last["weight"]) == np.sign(weight)
            and not text[last["end"] : start].strip()
        ):
            last["end"] = end
            last["weight"] = max(last["weight"], weight, key=abs)
        else:
            marked.append({"start": start, "end": end, "weight": weight, "flip": flip})
    return marked


def _precedent(bundle: ModelBundle, near: Near, label: str) -> dict[str, Any]:
    row = bundle.precedents.cases.row(near.row, named=True)
    return {
        **{name: row[name] for name in ("case_id", "text", "language", "market", "label", "policy_version")},
        "ruled_at": row["ruled_at"].isoformat(),
        "similarity": round(near.cosine, 3),
        "agrees_with_decision": row["label"] == label,
        "other_side": near.other_side,
    }


def sentence(
    label: str,
    predicted: str,
    p: float,
    precedents: Sequence[dict[str, Any]],
    flip: dict[str, Any] | None,
    *,
    words: int,
) -> str:
    """One line: the decision against the reading, the nearest precedents, what would change it.

    Names of labels stand in “ ”, so that a page can put titles for them.
    """
    if not words:
        said = f"There are no words to read; “{predicted}” is the likeliest label here ({p:.0%})"
    elif predicted == label:
        said = f"The text reads like “{label}” ({p:.0%}), as decided"
    else:
        said = f"Decided “{label}”; the text reads like “{predicted}” ({p:.0%})"
    said += f"; {_ruled(label, precedents)}."
    return f"{said} Without the outlined words it would read like “{flip['label']}”." if flip else said


def _ruled(label: str, precedents: Sequence[dict[str, Any]]) -> str:
    """How the nearest precedents were ruled.

    One that is shown for being of the other side is not counted among them.
    """
    if not precedents:
        return "there is no precedent in this area yet"
    nearest = [case for case in precedents if not case["other_side"]]
    n, agree = len(precedents), sum(case["agrees_with_decision"] for case in nearest)
    other = ", the last one shown is the nearest of the other side" if len(nearest) < n else ""
    the_nearest = "the nearest precedent was" if n == 1 else f"the {n} nearest precedents were"
    if agree == len(nearest):
        return f"{the_nearest} ruled “{label}” too{other}"
    if agree == 0:
        return f"{the_nearest} ruled otherwise{other}"
    return f"{n - agree} of the {n} nearest precedents were ruled otherwise"
