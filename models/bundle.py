"""Everything a model version is: label models, flagger, precedents, and the manifest that says what it may judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenhand.errors import ModelError, PolicyMismatch
from evenhand.files import write_text
from models.baseline import CharBaseline
from models.classifier import EncoderClassifier, Floats
from models.consensus import Consensus, fold_of
from models.encoder import Floats32
from models.flagging import Flagger, LabelView
from models.precedents import Precedents

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
    baseline: CharBaseline
    consensus: Consensus
    flagger: Flagger
    precedents: Precedents

    def head_key(self, policy_version: str, area: str) -> str:
        """The head that judges `area` under `policy_version`; PolicyMismatch if this model does not cover it."""
        key = self.manifest.heads.get(f"{policy_version}/{area}")
        if key is None:
            covered = ", ".join(self.manifest.policy_versions)
            raise PolicyMismatch(
                f"this model covers policy versions {covered}, asked to judge {area!r} under {policy_version!r};"
                " retrain with `evenhand train`, or score with a model of that version"
            )
        return key

    def view(self, decisions: pl.DataFrame, pooled: Floats32) -> LabelView:
        """Label probabilities of all three models for each decision; `pooled` are the vectors of their texts, same order."""
        keys = [self.head_key(v, a) for v, a in decisions.select("policy_version", "area").iter_rows()]
        texts, labels = decisions["text"].to_list(), decisions["label"].to_list()
        names = np.asarray(keys)
        encoder: list[Floats] = [np.empty(0)] * len(keys)
        baseline: list[Floats] = [np.empty(0)] * len(keys)
        peers: list[Floats] = [np.empty(0)] * len(keys)
        fold = fold_of(decisions["decision_id"].to_list())
        for key in dict.fromkeys(keys):
            here = np.flatnonzero(names == key)
            by_encoder = self.classifier.head_proba(pooled[here], key)
            by_baseline = self.baseline.proba([texts[i] for i in here], key)
            by_peers = self.consensus.head_proba(
                self.consensus.features([texts[i] for i in here]), fold[here], key
            )
            for row, i in enumerate(here):
                encoder[i], baseline[i], peers[i] = by_encoder[row], by_baseline[row], by_peers[row]
        decided = [self._label_index(key, label) for key, label in zip(keys, labels, strict=True)]
        return LabelView(encoder, baseline, peers, np.array(decided, np.int64))

    def _label_index(self, key: str, label: str) -> int:
        names = self.classifier.heads[key].labels
        if label not in names:
            raise ModelError(f"label {label!r} is not one of head {key!r}: {', '.join(names)}")
        return names.index(label)

    def judge(self, decisions: pl.DataFrame, pooled: Floats32 | None = None) -> pl.DataFrame:
        """Judge decisions: decision_id, p_overturn, predicted_label, p_predicted, p_decided, reasons; same row order.

        `decisions` has decision_id, text, area, policy_version, label, moderator_id. Identical texts are encoded once;
        `pooled` hands in vectors that are known already.
        """
        if pooled is None:
            pooled = self.encode(decisions["text"])
        view = self.view(decisions, pooled)
        features = self.flagger.features(view, decisions)
        predicted, p_predicted, p_decided = self.reading(decisions, view)
        return pl.DataFrame(
            {
                "decision_id": decisions["decision_id"],
                "p_overturn": self.flagger.p_overturn(features),
                "predicted_label": predicted,
                "p_predicted": p_predicted,
                "p_decided": p_decided,
                "reasons": self.flagger.reasons(decisions, predicted, p_predicted, features),
            },
            schema_overrides={"p_overturn": pl.Float64},
        )

    def encode(self, texts: pl.Series) -> Floats32:
        """Vectors of the texts, shape (n, dim); identical texts are encoded once."""
        distinct = texts.unique(maintain_order=True)
        place = {text: i for i, text in enumerate(distinct)}
        vectors = self.classifier.pooled(distinct.to_list())
        return np.asarray(vectors[[place[text] for text in texts]])

    def reading(
        self, decisions: pl.DataFrame, view: LabelView
    ) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
        """The label that each text reads like, its probability, and that of the decided label, by both models."""
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
        self.baseline.save(folder)
        self.consensus.save(folder)
        self.flagger.save(folder)
        self.precedents.save(folder)
        write_text(folder / "manifest.json", json.dumps(asdict(self.manifest), ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: Path, *, allow_download: bool = False) -> ModelBundle:
        """Read what `save` wrote; ModelError if something is missing or does not fit."""
        try:
            raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            manifest = Manifest(**{**raw, "policy_versions": tuple(raw["policy_versions"])})
            return cls(
                manifest=manifest,
                classifier=EncoderClassifier.load(folder, allow_download=allow_download),
                baseline=CharBaseline.load(folder),
                consensus=Consensus.load(folder),
                flagger=Flagger.load(folder),
                precedents=Precedents.load(folder),
            )
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise ModelError(f"{folder}: not a whole model ({problem}); register it again") from problem
