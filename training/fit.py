"""Step 3 of training: the readings and the flagger learn, p_overturn is calibrated, the test part is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

import evenhand
from evenhand.workspace.config import ModelConfig
from evenhand.workspace.lake import scan_decisions
from evenhand.workspace.progress import Progress
from evenhand.workspace.workspace import Workspace
from models.bundle import Manifest, ModelBundle, encode, load_base_encoder
from models.encoders.encoder import Encoder, Floats32
from models.explain.precedents import COLUMNS, Precedents
from models.flagger import Flagger, Ints
from models.labels.readings import Lessons, Readings
from training import evaluate
from training.prepare import Prepared
from training.second_stage import decided_lessons, fit_flagger, group_folds
from training.tune import Tuned


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A whole model version that is not registered yet; its metrics on the test part are in the manifest."""

    bundle: ModelBundle

    @property
    def metrics(self) -> dict[str, Any]:
        """Of `training.evaluate.report`."""
        return dict(self.bundle.manifest.metrics)


def fit(ws: Workspace, prepared: Prepared, tuned: Tuned, config: ModelConfig) -> Fitted:
    """Everything that is learned after the fine-tuning, from all rulings but those of the test part."""
    with Progress("calibrate and evaluate", 4, unit="steps") as progress:
        base = load_base_encoder(tuned.classifier, allow_download=config.allow_download)
        decided = _lessons_from_decisions(ws, prepared, base)
        progress.step()
        vectors = encode(tuned.classifier, base, prepared.rows["text"])
        progress.step()
        bundle = _bundle(prepared, tuned, config, (base, vectors), decided)
        progress.step()
        metrics = _metrics(prepared, bundle, vectors, config.seed)
        progress.step()
    return Fitted(bundle=replace(bundle, manifest=replace(bundle.manifest, metrics=metrics)))


def _lessons_from_decisions(ws: Workspace, prepared: Prepared, base: Encoder) -> tuple[Lessons, Lessons]:
    """What moderators decide, from the decisions with a label of their policy version."""
    columns = ("decision_id", "text", "label", "policy_version", "area")
    keys = ["policy_version", "area", "label"]
    given = scan_decisions(ws).select(columns).join(prepared.answers.lazy(), on=keys).collect()
    labels = {key: spec.labels for key, spec in prepared.heads.items()}
    return decided_lessons(given, labels, base.pooled)


def _bundle(
    prepared: Prepared,
    tuned: Tuned,
    config: ModelConfig,
    encoded: tuple[Encoder, Floats32],
    decided: tuple[Lessons, Lessons],
) -> ModelBundle:
    """The bundle with its flagger.

    `encoded`: the base encoder, and what `encode` gives for all rows of the gold.
    """
    base, vectors = encoded
    here = prepared.for_learning
    fold = group_folds(prepared.group[here], config.seed)
    readings, left_out = Readings.fit(
        prepared.heads, _lessons_from_rulings(prepared, vectors, fold), *decided
    )
    bundle = ModelBundle(
        manifest=_manifest(prepared, tuned.classifier.encoder),
        classifier=tuned.classifier,
        base=base,
        readings=readings,
        flagger=Flagger(use_history=config.moderator_history),
        precedents=_precedents(prepared.rows, vectors),
    )
    seen = np.isin(prepared.part[here], ("train", "validation"))
    rows = prepared.rows.filter(pl.Series(here))
    fit_flagger(bundle, rows, vectors[here], prepared.wrong[here], fold, seen, left_out)
    return bundle


def _lessons_from_rulings(prepared: Prepared, vectors: Floats32, fold: Ints) -> Lessons:
    """`vectors` (n, 2 dim) of all rows, `fold` of those that may be learned from."""
    here = prepared.for_learning
    examples = prepared.examples(here).to_polars()
    place = examples["place"].to_numpy()
    base = np.split(vectors[here], 2, axis=1)[1]
    return Lessons(
        texts=examples["text"].to_list(),
        vectors=base[place],
        heads=examples["head"].to_list(),
        labels=examples["label"].to_numpy(),
        weights=examples["weight"].to_numpy(),
        fold=fold[place],
    )


def _precedents(rows: pl.DataFrame, vectors: Floats32) -> Precedents:
    cases = rows.with_columns(label="ruled_label").select(COLUMNS)
    return Precedents.build(ModelBundle.tuned(vectors), cases)


def _manifest(prepared: Prepared, encoder: Encoder) -> Manifest:
    counts = prepared.rows.group_by("area", "language").len().sort("area", "language")
    return Manifest(
        policy_versions=tuple(policy.version for policy in prepared.policies),
        heads=prepared.where,
        encoder=encoder.name,
        encoder_revision=encoder.revision,
        data_hash=prepared.data_hash,
        n_rulings=prepared.rows.height,
        gold_counts={f"{area}/{language}": n for area, language, n in counts.iter_rows()},
        code_version=evenhand.__version__,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _metrics(prepared: Prepared, bundle: ModelBundle, vectors: Floats32, seed: int) -> dict[str, Any]:
    """On the test part."""
    here = ~prepared.for_learning
    test = prepared.rows.filter(pl.Series(here))
    judged = bundle.judge(test, vectors[here])
    p = judged["p_overturn"].to_numpy()
    metrics = evaluate.report(test, prepared.wrong[here], p, prepared.group[here], seed=seed)
    right = (judged["predicted_label"] == test["ruled_label"]).mean()
    metrics["overall"]["label_accuracy"] = None if right is None else float(right)  # type: ignore[arg-type]
    return metrics
