"""`evenhand train`: gold to a registered challenger."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

import evenhand
from evenhand.errors import TrainingError
from evenhand.gold import gold
from evenhand.records.policy import PolicyVersion
from evenhand.similar.groups import groups, marks
from evenhand.store import Store
from evenhand.workspace.lake import scan_decisions
from evenhand.workspace.progress import Progress
from evenhand.workspace.workspace import Workspace
from models.bundle import Manifest, ModelBundle, base_of, encode
from models.encoders.encoder import Encoder, Floats32, load_encoder
from models.explain.precedents import Precedents
from models.flagger import Flagger
from models.known_cases import save_learned
from models.labels.classifier import EncoderClassifier, HeadSpec, heads_of
from models.labels.readings import Evidence, Taught
from models.registry import Registry
from training import evaluate
from training.checkpoint import remove_stale
from training.examples import answers, as_examples, covered, data_hash, enough, label_examples
from training.finetune import finetune
from training.second_stage import decided_lessons, fit_flagger, group_folds
from training.splits import split

datasets.disable_progress_bars()
_FLAGGER_ENOUGH = 20  # rulings, with both outcomes, below which nothing is calibrated


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What a training run gave."""

    version: str
    metrics: dict[str, Any]  # overall, language, area: on the test part
    data_hash: str
    n_rulings: int
    parts: dict[str, int]  # rulings in train, validation, calibration, test
    seconds: float
    examples_per_second: float
    notes: tuple[str, ...]


def train(
    ws: Workspace, store: Store, *, by: str, resume: bool = True, seed: int | None = None
) -> TrainReport:
    """Fine-tune on the rulings, calibrate, evaluate on the newest part, register as challenger.

    Goes on where a killed run of the same data, policy wordings and settings stopped, unless `resume` is false. Raises
    TrainingError if there is too little gold.
    """
    began = time.monotonic()
    config = ws.config.model if seed is None else replace(ws.config.model, seed=seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    policies = store.policies()
    heads, where = heads_of(policies)
    known = answers(policies, where)
    rows, left_out = covered(gold(ws, store), known)
    enough(rows, left_out)
    wrong = rows["overturned"].to_numpy()
    mark = data_hash(rows)
    group = groups(rows["text"].to_list(), rows["conversation_id"].to_list())
    part = split(group, rows["decided_at"].to_list(), seed=config.seed)
    _check(part, wrong)
    data = {
        name: label_examples(rows.filter(pl.Series(part == name)), policies, heads, where)
        for name in ("train", "validation")
    }
    torch.manual_seed(config.seed)
    encoder = load_encoder(config.encoder, max_tokens=config.max_tokens, allow_download=config.allow_download)
    classifier = EncoderClassifier(encoder, heads, train_embeddings=config.train_embeddings)
    tuned = finetune(
        classifier,
        as_examples(data["train"]),
        as_examples(data["validation"]),
        config=config,
        seed=config.seed,
        checkpoints=ws.training_dir,
        resume=resume,
    )
    if config.int8:
        classifier.use_int8()
    with Progress("calibrate and evaluate", 5, unit="steps") as progress:
        base = base_of(classifier, allow_download=config.allow_download)
        decided, decided_vectors = _decisions(ws, heads, known, base)
        progress.step()
        vectors = encode(classifier, base, rows["text"])
        progress.step()
        known = part != "test"
        fold = group_folds(group[known], config.seed)
        ruled = rows.filter(pl.Series(known))
        taught = _taught(ruled, vectors[known], fold, policies, heads, where)
        evidence, without = Evidence.fit(heads, taught, decided, decided_vectors)
        progress.step()
        bundle = ModelBundle(
            manifest=_manifest(policies, where, encoder.name, encoder.revision, mark, rows),
            classifier=classifier,
            base=base,
            evidence=evidence,
            flagger=Flagger(use_history=config.moderator_history),
            precedents=Precedents.build(ModelBundle.tuned(vectors), _precedent_cases(rows)),
        )
        seen = np.isin(part[known], ("train", "validation"))
        fit_flagger(bundle, ruled, vectors[known], wrong[known], fold, seen, without)
        notes = [_weights_note(ruled), *([left_out] if left_out else [])]
        metrics = _evaluate(bundle, rows, vectors, wrong, part, group, config.seed)
        progress.step()
        bundle.manifest = replace(bundle.manifest, metrics=metrics)
        learned = marks(ruled["text"].to_list(), ruled["conversation_id"].to_list())
        version = _register(ws, bundle, learned, config.seed, tuned.validation_loss, by)
        progress.step()
    if tuned.checkpoint is not None:
        shutil.rmtree(tuned.checkpoint, ignore_errors=True)
    remove_stale(ws.training_dir)
    if tuned.resumed_at_epoch:
        notes.append(f"went on after epoch {tuned.resumed_at_epoch} of a run that was cut short")
    if tuned.not_resumed:
        notes.append(
            f"the checkpoint of an earlier run could not be used ({tuned.not_resumed}), started anew"
        )
    return TrainReport(
        version=version,
        metrics=metrics,
        data_hash=mark,
        n_rulings=rows.height,
        parts={name: int((part == name).sum()) for name in ("train", "validation", "calibration", "test")},
        seconds=time.monotonic() - began,
        examples_per_second=tuned.examples_per_second,
        notes=tuple(notes),
    )


def _check(part: NDArray[np.str_], wrong: NDArray[np.float64]) -> None:
    here = part != "test"
    if here.sum() < _FLAGGER_ENOUGH or not 0 < wrong[here].sum() < here.sum():
        raise TrainingError(
            f"{int(wrong[here].sum())} overturns among {int(here.sum())} rulings outside the test part: too few to"
            f" calibrate p_overturn (at least {_FLAGGER_ENOUGH} rulings with both outcomes); ingest more rulings"
        )


def _decisions(
    ws: Workspace, heads: dict[str, HeadSpec], known: pl.DataFrame, base: Encoder
) -> tuple[Taught, Taught]:
    """What moderators decide, from the decisions with a label of their policy version (`known` of `answers`)."""
    columns = ("decision_id", "text", "label", "policy_version", "area")
    keys = ["policy_version", "area", "label"]
    decisions = scan_decisions(ws).select(columns).join(known.lazy(), on=keys).collect()
    return decided_lessons(decisions, {key: spec.labels for key, spec in heads.items()}, base.pooled)


def _taught(
    ruled: pl.DataFrame,
    vectors: Floats32,
    fold: NDArray[np.int64],
    policies: list[PolicyVersion],
    heads: dict[str, HeadSpec],
    where: dict[str, str],
) -> Taught:
    """The rulings as rows to learn labels from; `vectors` (n, 2 dim) and `fold` in the order of `ruled`."""
    data = label_examples(ruled, policies, heads, where)
    examples, place = as_examples(data), np.array(data["place"], np.int64)
    base = np.split(vectors, 2, axis=1)[1]
    return Taught(examples.texts, base[place], examples.heads, examples.labels, examples.weights, fold[place])


def _weights_note(ruled: pl.DataFrame) -> str:
    drawn = ruled["draw_id"].is_not_null().sum()
    if drawn:
        return f"{drawn} of {ruled.height} rulings were drawn and count with their weight"
    return "no ruling was drawn: p_overturn is calibrated for cases like those that were ruled on"


def _manifest(
    policies: list[PolicyVersion],
    where: dict[str, str],
    encoder: str,
    revision: str,
    mark: str,
    rows: pl.DataFrame,
) -> Manifest:
    counts = rows.group_by("area", "language").len().sort("area", "language")
    return Manifest(
        policy_versions=tuple(policy.version for policy in policies),
        heads=where,
        encoder=encoder,
        encoder_revision=revision,
        data_hash=mark,
        n_rulings=rows.height,
        gold_counts={f"{area}/{language}": n for area, language, n in counts.iter_rows()},
        code_version=evenhand.__version__,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _precedent_cases(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        "case_id",
        "text",
        "language",
        "market",
        "area",
        "policy_version",
        pl.col("ruled_label").alias("label"),
        "ruled_at",
    )


def _evaluate(
    bundle: ModelBundle,
    rows: pl.DataFrame,
    vectors: NDArray[np.float32],
    wrong: NDArray[np.float64],
    part: NDArray[np.str_],
    group: NDArray[np.int64],
    seed: int,
) -> dict[str, Any]:
    here = part == "test"
    test = rows.filter(pl.Series(here))
    judged = bundle.judge(test, vectors[here])
    metrics = evaluate.report(test, wrong[here], judged["p_overturn"].to_numpy(), group[here], seed=seed)
    right = (judged["predicted_label"] == test["ruled_label"]).mean()
    metrics["overall"]["label_accuracy"] = None if right is None else float(right)  # type: ignore[arg-type]
    return metrics


def _register(
    ws: Workspace, bundle: ModelBundle, learned: frozenset[str], seed: int, losses: list[float], by: str
) -> str:
    manifest = bundle.manifest
    params = {
        "encoder": manifest.encoder,
        "encoder_revision": manifest.encoder_revision,
        "data_hash": manifest.data_hash,
        "n_rulings": manifest.n_rulings,
        "seed": seed,
        "validation_loss": [round(loss, 4) for loss in losses],
        "by": by,
        "code_version": manifest.code_version,
    }
    with tempfile.TemporaryDirectory(prefix="evenhand-") as folder:
        bundle.save(Path(folder) / "bundle")
        save_learned(learned, Path(folder) / "bundle")
        return Registry(ws).register(
            Path(folder) / "bundle",
            params=params,
            metrics=dict(manifest.metrics),
            policy_versions=manifest.policy_versions,
        )
