"""Everything a model version is, as one object.

It holds label models, flagger, precedents, and the manifest that says what it may judge.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError

from evenhand.errors import ModelError, PolicyMismatch
from evenhand.workspace.files import write_text
from models.encoders import int8
from models.encoders.encoder import Encoder, Floats32, load_encoder
from models.explain.precedents import Precedents
from models.flagger import Flagger, LabelView
from models.labels.characters import CharBaseline
from models.labels.classifier import EncoderClassifier, Floats
from models.labels.readings import Readings, VectorHeads

#: Weight of the encoder in the label that a text reads like; the character model has the rest.
ENCODER_SHARE = 0.6


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known of a model version, as JSON beside the weights."""

    policy_versions: tuple[str, ...]
    heads: Mapping[str, str]  # "policy version/area" -> head key
    encoder: str
    encoder_revision: str
    data_hash: str
    n_rulings: int
    gold_counts: Mapping[str, int]  # "area/language" -> gold cases
    code_version: str
    trained_at: str
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class ModelBundle:
    """A model version, ready to judge decisions."""

    manifest: Manifest
    classifier: EncoderClassifier
    base: Encoder  # as it was before fine-tuning: its vectors have seen no ruling
    readings: Readings
    flagger: Flagger
    precedents: Precedents

    def head_key(self, policy_version: str, area: str) -> str:
        """The head that judges `area` under `policy_version`.

        PolicyMismatch if this model does not cover it.
        """
        key = self.manifest.heads.get(f"{policy_version}/{area}")
        if key is None:
            covered = ", ".join(self.manifest.policy_versions)
            raise PolicyMismatch(
                f"this model covers policy versions {covered}, asked to judge {area!r} under {policy_version!r};"
                " retrain with `evenhand train`, or score with a model of that version"
            )
        return key

    @property
    def baseline(self) -> CharBaseline:
        """The character model taught by rulings."""
        return self.readings.char_by_rulings

    def view(
        self,
        decisions: pl.DataFrame,
        vectors: Floats32,
        *,
        by_rulings: tuple[CharBaseline, VectorHeads] | None = None,
    ) -> LabelView:
        """What all label models say of each decision; `vectors` from `encode`, same order.

        `by_rulings` stands in for the models taught by rulings (`Readings.odds`).
        """
        keys = [self.head_key(v, a) for v, a in decisions.select("policy_version", "area").iter_rows()]
        texts, labels = decisions["text"].to_list(), decisions["label"].to_list()
        decided = np.array(
            [self._label_index(k, label) for k, label in zip(keys, labels, strict=True)], np.int64
        )
        names = np.asarray(keys)
        encoder: list[Floats] = [np.empty(0)] * len(keys)
        baseline: list[Floats] = [np.empty(0)] * len(keys)
        tuned, base = np.split(vectors, 2, axis=1)
        grams = self.baseline.features(texts)
        for key in dict.fromkeys(keys):
            here = np.flatnonzero(names == key)
            by_encoder = self.classifier.head_proba(tuned[here], key)
            by_baseline = self.baseline.head_proba(grams[here], key)
            for row, i in enumerate(here):
                encoder[i], baseline[i] = by_encoder[row], by_baseline[row]
        ids = decisions["decision_id"].to_list()
        odds = self.readings.odds(grams, base, keys, decided, ids, by_rulings=by_rulings)
        return LabelView(encoder, baseline, odds, decided)

    def features(self, decisions: pl.DataFrame, view: LabelView) -> Floats:
        """The flagger's features of each decision."""
        return self.flagger.features(view, decisions, view.decided == 0)

    def _label_index(self, key: str, label: str) -> int:
        names = self.classifier.heads[key].labels
        if label not in names:
            raise ModelError(f"label {label!r} is not one of head {key!r}: {', '.join(names)}")
        return names.index(label)

    def judge(self, decisions: pl.DataFrame, pooled: Floats32 | None = None) -> pl.DataFrame:
        """Judge decisions, one row out for each row in.

        Columns: decision_id, p_overturn, predicted_label, p_predicted, p_decided, reasons, support. Same row
        order. `decisions` has decision_id, text, area, language, policy_version, label, moderator_id.
        Identical texts are encoded once; `pooled` hands in vectors that are known already.
        """
        if pooled is None:
            pooled = self.encode(decisions["text"])
        view = self.view(decisions, pooled)
        features = self.features(decisions, view)
        predicted, p_predicted, p_decided = self.predict(decisions, view)
        return pl.DataFrame(
            {
                "decision_id": decisions["decision_id"],
                "p_overturn": self.flagger.p_overturn(features),
                "predicted_label": predicted,
                "p_predicted": p_predicted,
                "p_decided": p_decided,
                "reasons": self.flagger.reasons(decisions, predicted, p_predicted, features),
                "support": self.flagger.support(decisions["area"].to_list(), decisions["language"].to_list()),
            },
            schema_overrides={"p_overturn": pl.Float64},
        )

    def encode(self, texts: pl.Series) -> Floats32:
        """As the function `encode`."""
        return encode(self.classifier, self.base, texts)

    @staticmethod
    def tuned(vectors: Floats32) -> Floats32:
        """The fine-tuned encoder's half of what `encode` gives."""
        return np.ascontiguousarray(np.split(vectors, 2, axis=1)[0])

    def predict(
        self, decisions: pl.DataFrame, view: LabelView
    ) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
        """The label each text reads like, its probability, and that of the decided label, by both models."""
        predicted, best, decided = [], np.empty(len(view.decided)), np.empty(len(view.decided))
        rows = decisions.select("policy_version", "area").iter_rows()
        for i, (version, area) in enumerate(rows):
            p = ENCODER_SHARE * view.encoder[i] + (1 - ENCODER_SHARE) * view.baseline[i]
            top = int(p.argmax())
            predicted.append(self.classifier.heads[self.head_key(version, area)].labels[top])
            best[i], decided[i] = p[top], p[view.decided[i]]
        return predicted, best, decided

    def save(self, folder: Path) -> None:
        """Write safetensors, tokenizer and JSON to `folder`; nothing is pickled."""
        folder.mkdir(parents=True, exist_ok=True)
        self.classifier.save(folder)
        self.readings.save(folder)
        self.flagger.save(folder)
        self.precedents.save(folder)
        write_text(folder / "manifest.json", json.dumps(asdict(self.manifest), ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: Path, *, allow_download: bool = False) -> ModelBundle:
        """Read what `save` wrote; ModelError if something is missing or does not fit."""
        try:
            raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            manifest = Manifest(**{**raw, "policy_versions": tuple(raw["policy_versions"])})
            classifier = EncoderClassifier.load(folder, allow_download=allow_download)
            return cls(
                manifest=manifest,
                classifier=classifier,
                base=load_base_encoder(classifier, allow_download=allow_download),
                readings=Readings.load(folder),
                flagger=Flagger.load(folder),
                precedents=Precedents.load(folder),
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as problem:
            raise ModelError(
                f"{folder}: not a whole model ({problem}); restore it from a backup, or run `evenhand train`"
            ) from problem


def encode(classifier: EncoderClassifier, base: Encoder, texts: pl.Series) -> Floats32:
    """Vectors of the texts, shape (n, 2 dim): by the fine-tuned encoder, then by the base one.

    Identical texts are read once.
    """
    distinct = texts.unique(maintain_order=True)
    place = {text: i for i, text in enumerate(distinct)}
    vectors = np.concatenate([classifier.pooled(distinct.to_list()), base.pooled(distinct.to_list())], axis=1)
    return np.asarray(vectors[[place[text] for text in texts]])


def load_base_encoder(classifier: EncoderClassifier, *, allow_download: bool = False) -> Encoder:
    """The encoder that `classifier` was fine-tuned from, judging in 8 bits where it does."""
    tuned = classifier.encoder
    base = load_encoder(tuned.name, max_tokens=tuned.max_tokens, allow_download=allow_download)
    if classifier.int8:
        int8.quantise(base.model)
    return base
