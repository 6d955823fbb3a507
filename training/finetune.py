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
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from evenhand.errors import TrainingError
from evenhand.workspace.config import ModelConfig
from evenhand.workspace.progress import Progress
from models.labels.classifier import EncoderClassifier
from training import checkpoint
from training.checkpoint import Kept, Tensors
from training.training_set import Batch, TrainingSet


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


@dataclass
class _Run:
    """A fine-tuning under way."""

    model: EncoderClassifier
    optimizer: torch.optim.AdamW
    best: Tensors
    report: FinetuneReport = field(default_factory=FinetuneReport)
    epoch: int = 0  # epochs done


def finetune(
    model: EncoderClassifier,
    train: TrainingSet,
    validation: TrainingSet,
    *,
    config: ModelConfig,
    seed: int,
    checkpoints: Path | None = None,
    resume: bool = True,
) -> FinetuneReport:
    """Fine-tune `model` in place and leave it with its best weights by validation log loss.

    With `checkpoints` (a folder) each epoch is kept there, under the fingerprint of all that decides it, so
    that the same call after a kill goes on (unless `resume` is false) and ends with the same weights as an
    unbroken run. A checkpoint that is damaged or of something else is never used: training starts anew, and
    the report says why. Raises TrainingError for no examples.
    """
    if not len(train):
        raise TrainingError("no training examples; ingest rulings first")
    run = _Run(model, _optimizer(model, config), _copy(model))
    of = checkpoint.fingerprint(model, train, validation, config=config, seed=seed)
    if checkpoints is not None:
        _find_checkpoint(run, checkpoints, of, resume=resume)
    if not run.epoch:
        run.report.validation_loss.append(log_loss(model, validation))
    began, start = time.monotonic(), run.epoch
    with Progress("train", len(train) * (config.epochs - start), unit="examples") as progress:
        while run.epoch < config.epochs and (
            run.epoch == 0 or run.epoch - run.report.best_epoch < config.patience
        ):
            loss = _teach(run, train, config, seed, progress)
            _note(run, loss, log_loss(model, validation))
            if run.report.checkpoint is not None:
                _keep(run.report.checkpoint, of, run)
    model.load_state_dict(run.best, strict=False)
    model.eval()
    run.report.examples_per_second = len(train) * (run.epoch - start) / max(time.monotonic() - began, 1e-9)
    return run.report


def _teach(run: _Run, train: TrainingSet, config: ModelConfig, seed: int, progress: Progress) -> float:
    """One epoch; the mean training loss."""
    torch.manual_seed(seed + run.epoch)
    run.model.train()
    total = 0.0
    plan = list(batches(train.lengths, config.batch_size, np.random.default_rng([seed, run.epoch])))
    for n, places in enumerate(plan):
        share = (run.epoch * len(plan) + n) / max(config.epochs * len(plan), 1)
        _set_rate(run.optimizer, min(1.0, (share + 1e-3) / 0.06) * max(0.0, 1 - share))
        total += _step(run.model, run.optimizer, train.batch(places))
        progress.step(len(places))
    run.model.eval()
    return total / len(train)


def _note(run: _Run, train_loss: float, validation_loss: float) -> None:
    """An epoch is done: write down its losses, and its weights where they are the best so far."""
    run.epoch += 1
    run.report.train_loss.append(train_loss)
    run.report.validation_loss.append(validation_loss)
    if validation_loss <= min(run.report.validation_loss):
        run.report.best_epoch = run.epoch
        run.best = _copy(run.model)


def batches(lengths: NDArray[np.int64], size: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Places of the examples in batches of `size` of similar length, in random order."""
    order = np.argsort(lengths * rng.uniform(0.9, 1.1, len(lengths)), kind="stable")
    groups = [order[i : i + size].tolist() for i in range(0, len(order), size)]
    rng.shuffle(groups)
    yield from groups


def log_loss(model: EncoderClassifier, examples: TrainingSet) -> float:
    """Weighted mean log loss, in nats; infinite for no examples."""
    if not len(examples):
        return math.inf
    all_of_them = examples.batch()
    pooled = model.encoder.pooled_tokens(all_of_them.input_ids)
    total = 0.0
    for key in np.unique(all_of_them.heads).tolist():
        here = np.flatnonzero(all_of_them.heads == key)
        p = model.head_proba(pooled[here], key)[np.arange(len(here)), all_of_them.labels[here]]
        total -= float((np.log(np.maximum(p, 1e-12)) * all_of_them.weights[here]).sum())
    return total / float(all_of_them.weights.sum())


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


def _step(model: EncoderClassifier, optimizer: torch.optim.AdamW, batch: Batch) -> float:
    """One step of the optimizer; the sum of the weighted losses."""
    pooled = model.encoder.pool(batch.input_ids)
    loss = torch.zeros(())
    for key in np.unique(batch.heads).tolist():
        rows = np.flatnonzero(batch.heads == key)
        target = torch.from_numpy(batch.labels[rows])
        weight = torch.from_numpy(batch.weights[rows]).float()
        losses = cross_entropy(model.logits(pooled[rows], key), target, reduction="none")
        loss = loss + (losses * weight).sum()
    optimizer.zero_grad(set_to_none=True)
    (loss / len(batch.labels)).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0)
    optimizer.step()
    return float(loss.detach())


def _copy(model: EncoderClassifier) -> Tensors:
    return {name: value.clone() for name, value in model.trained_tensors().items()}


def _keep(folder: Path, of: Mapping[str, str], run: _Run) -> None:
    """Write the epoch that was just done to `folder`."""
    kept = Kept(
        epoch=run.epoch,
        best_epoch=run.report.best_epoch,
        train_loss=run.report.train_loss,
        validation_loss=run.report.validation_loss,
        now=run.model.trained_tensors(),
        best=run.best,
        adam=run.optimizer.state_dict()["state"],
    )
    checkpoint.keep(folder, of, kept)


def _find_checkpoint(run: _Run, root: Path, of: Mapping[str, str], *, resume: bool) -> None:
    """Go on from what a run of the same fingerprint left under `root`; else clear its folder."""
    run.report.checkpoint = checkpoint.folder_for(root, of)
    kept = _kept(root, of, run) if resume else None
    if kept is None:
        shutil.rmtree(run.report.checkpoint, ignore_errors=True)
        return
    run.model.load_state_dict(kept.now, strict=False)
    run.optimizer.load_state_dict({**run.optimizer.state_dict(), "state": kept.adam})
    run.epoch, run.best = kept.epoch, kept.best
    run.report.best_epoch, run.report.resumed_at_epoch = kept.best_epoch, kept.epoch
    run.report.train_loss, run.report.validation_loss = kept.train_loss, kept.validation_loss


def _kept(root: Path, of: Mapping[str, str], run: _Run) -> Kept | None:
    """What a run of the same fingerprint left under `root`.

    Else None, and the report says why another cannot be used.
    """
    parameters = [p for group in run.optimizer.param_groups for p in group["params"]]
    try:
        return checkpoint.read(checkpoint.folder_for(root, of), of, run.model.trained_tensors(), parameters)
    except FileNotFoundError:
        run.report.not_resumed = checkpoint.other_than(root, of)
    except checkpoint.UnfitCheckpoint as problem:
        run.report.not_resumed = str(problem)
    return None
