"""Fine-tuning: length-bucketed batches, frozen embeddings, early stopping, resumable after a kill."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from evenhand.errors import TrainingError
from evenhand.workspace.config import ModelConfig
from evenhand.workspace.progress import Progress
from models.labels.classifier import EncoderClassifier
from training import checkpoint
from training.checkpoint import Kept, Tensors
from training.examples import Examples


@dataclass
class FinetuneReport:
    """How training went. Losses are mean log losses in nats; index 0 is before training."""

    best_epoch: int = 0
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    examples_per_second: float = 0.0
    resumed_at_epoch: int = 0
    not_resumed: str = ""  # why a checkpoint that was there could not be used
    checkpoint: Path | None = None  # where this run's epochs are kept; remove it once the result is safe


def finetune(
    model: EncoderClassifier,
    train: Examples,
    validation: Examples,
    *,
    config: ModelConfig,
    seed: int,
    checkpoints: Path | None = None,
    resume: bool = True,
) -> FinetuneReport:
    """Fine-tune `model` in place and leave it with its best weights by validation log loss.

    With `checkpoints` (a folder) each epoch is kept there, under the fingerprint of all that decides it, so that the same call
    after a kill goes on (unless `resume` is false) and ends with the same weights as an unbroken run. A checkpoint that is damaged
    or of something else is never used: training starts anew, and the report says why. Raises TrainingError for no examples.
    """
    if not len(train):
        raise TrainingError("no training examples; ingest rulings first")
    ids = model.encoder.tokens(train.texts)
    steps = config.epochs * len(list(batches(ids, config.batch_size, np.random.default_rng(seed))))
    optimizer = _optimizer(model, config)
    report = FinetuneReport()
    best, start = _copy(model), 0
    of = checkpoint.fingerprint(model, train, validation, config=config, seed=seed)
    if checkpoints is not None:
        report.checkpoint = checkpoint.folder_of(checkpoints, of)
        kept = _kept(checkpoints, report, of, model, optimizer) if resume else None
        if kept is None:
            shutil.rmtree(report.checkpoint, ignore_errors=True)
        else:
            start, best = kept.epoch, kept.best
            _go_on(kept, model, optimizer, report)
    if not start:
        report.validation_loss.append(log_loss(model, validation))
    began, seen = time.monotonic(), 0
    with Progress("train", len(train) * (config.epochs - start), unit="examples") as progress:
        for epoch in range(start, config.epochs):
            if epoch - report.best_epoch >= config.patience and epoch > 0:
                break
            torch.manual_seed(seed + epoch)
            model.train()
            total = 0.0
            plan = list(batches(ids, config.batch_size, np.random.default_rng([seed, epoch])))
            for n, places in enumerate(plan):
                share = (epoch * len(plan) + n) / max(steps, 1)
                _set_rate(optimizer, min(1.0, (share + 1e-3) / 0.06) * max(0.0, 1 - share))
                total += _step(model, optimizer, ids, train, places)
                seen += len(places)
                progress.step(len(places))
            model.eval()
            report.train_loss.append(total / len(train))
            report.validation_loss.append(log_loss(model, validation))
            if report.validation_loss[-1] <= min(report.validation_loss):
                report.best_epoch = epoch + 1
                best = _copy(model)
            if report.checkpoint is not None:
                _keep(report.checkpoint, of, epoch + 1, model, optimizer, report, best)
    model.load_state_dict(best, strict=False)
    model.eval()
    report.examples_per_second = seen / max(time.monotonic() - began, 1e-9)
    return report


def batches(ids: list[list[int]], size: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Places of the examples in batches of `size` of similar length, in random order."""
    jitter = np.array([len(row) for row in ids]) * rng.uniform(0.9, 1.1, len(ids))
    order = np.argsort(jitter, kind="stable")
    groups = [order[i : i + size].tolist() for i in range(0, len(order), size)]
    rng.shuffle(groups)
    yield from groups


def log_loss(model: EncoderClassifier, examples: Examples) -> float:
    """Weighted mean log loss, in nats; infinite for no examples."""
    if not len(examples):
        return math.inf
    pooled = model.pooled(examples.texts)
    heads = np.asarray(examples.heads)
    total = 0.0
    for key in set(examples.heads):
        here = np.flatnonzero(heads == key)
        p = model.head_proba(pooled[here], key)[np.arange(len(here)), examples.labels[here]]
        total -= float((np.log(np.maximum(p, 1e-12)) * examples.weights[here]).sum())
    return total / float(examples.weights.sum())


def _optimizer(model: EncoderClassifier, config: ModelConfig) -> torch.optim.AdamW:
    body = [p for name, p in model.named_parameters() if p.requires_grad and name.startswith("body.")]
    heads = [p for name, p in model.named_parameters() if p.requires_grad and not name.startswith("body.")]
    groups = [
        {"params": body, "lr": config.learning_rate, "top": config.learning_rate},
        {"params": heads, "lr": config.head_learning_rate, "top": config.head_learning_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=0.01)


def _set_rate(optimizer: torch.optim.AdamW, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["top"] * share


def _step(
    model: EncoderClassifier,
    optimizer: torch.optim.AdamW,
    ids: list[list[int]],
    examples: Examples,
    places: list[int],
) -> float:
    pooled = model.encoder.pool([ids[i] for i in places])
    loss = torch.zeros(())
    for key in sorted({examples.heads[i] for i in places}):
        rows = [n for n, i in enumerate(places) if examples.heads[i] == key]
        target = torch.from_numpy(examples.labels[[places[n] for n in rows]])
        weight = torch.from_numpy(examples.weights[[places[n] for n in rows]]).float()
        losses = cross_entropy(model.logits(pooled[rows], key), target, reduction="none")
        loss = loss + (losses * weight).sum()
    optimizer.zero_grad(set_to_none=True)
    (loss / len(places)).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0)
    optimizer.step()
    return float(loss.detach())


def _copy(model: EncoderClassifier) -> Tensors:
    return {name: value.clone() for name, value in model.trained_tensors().items()}


def _keep(
    folder: Path,
    of: Mapping[str, str],
    epoch: int,
    model: EncoderClassifier,
    optimizer: torch.optim.AdamW,
    report: FinetuneReport,
    best: Tensors,
) -> None:
    kept = Kept(
        epoch=epoch,
        best_epoch=report.best_epoch,
        train_loss=report.train_loss,
        validation_loss=report.validation_loss,
        now=model.trained_tensors(),
        best=best,
        adam=optimizer.state_dict()["state"],
    )
    checkpoint.keep(folder, of, kept)


def _kept(
    root: Path,
    report: FinetuneReport,
    of: Mapping[str, str],
    model: EncoderClassifier,
    optimizer: torch.optim.AdamW,
) -> Kept | None:
    """What a run of the same fingerprint left under `root`; else None, and `report` says why another cannot be used."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    try:
        return checkpoint.read(checkpoint.folder_of(root, of), of, model.trained_tensors(), parameters)
    except FileNotFoundError:
        report.not_resumed = checkpoint.other_than(root, of)
    except checkpoint.UnfitCheckpoint as problem:
        report.not_resumed = str(problem)
    return None


def _go_on(
    kept: Kept, model: EncoderClassifier, optimizer: torch.optim.AdamW, report: FinetuneReport
) -> None:
    model.load_state_dict(kept.now, strict=False)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": kept.adam})
    report.best_epoch, report.resumed_at_epoch = kept.best_epoch, kept.epoch
    report.train_loss, report.validation_loss = kept.train_loss, kept.validation_loss
