"""Fine-tuning: length-bucketed batches, frozen embeddings, early stopping, resumable after a kill."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy

from evenhand.errors import TrainingError
from evenhand.workspace.config import ModelConfig
from evenhand.workspace.files import atomic_path
from evenhand.workspace.progress import Progress
from models.labels.classifier import EncoderClassifier


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Texts with head key, index of the right label in that head, and weight; all of length n."""

    texts: list[str]
    heads: list[str]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass
class FinetuneReport:
    """How training went. Losses are mean log losses in nats; index 0 is before training."""

    best_epoch: int = 0
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    examples_per_second: float = 0.0
    resumed_at_epoch: int = 0


def finetune(
    model: EncoderClassifier,
    train: Examples,
    validation: Examples,
    *,
    config: ModelConfig,
    seed: int,
    checkpoint: Path | None = None,
) -> FinetuneReport:
    """Fine-tune `model` in place and leave it with its best weights by validation log loss.

    With `checkpoint` (a folder) each epoch is kept there, so that the same call after a kill goes on and ends with the same
    weights as an unbroken run. Raises TrainingError for no examples.
    """
    if not len(train):
        raise TrainingError("no training examples; ingest rulings first")
    ids = model.encoder.tokens(train.texts)
    steps = config.epochs * len(list(batches(ids, config.batch_size, np.random.default_rng(seed))))
    optimizer = _optimizer(model, config)
    report = FinetuneReport()
    best = {name: value.clone() for name, value in model.trained_tensors().items()}
    start = 0
    if checkpoint is not None and (checkpoint / "epoch.safetensors").exists():
        start, best = _restore(checkpoint, model, optimizer, report)
    else:
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
                best = {name: value.clone() for name, value in model.trained_tensors().items()}
            if checkpoint is not None:
                _keep(checkpoint, epoch + 1, model, optimizer, report, best)
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


def _keep(
    folder: Path,
    epoch: int,
    model: EncoderClassifier,
    optimizer: torch.optim.AdamW,
    report: FinetuneReport,
    best: dict[str, torch.Tensor],
) -> None:
    """Write one file with weights, best weights and optimizer state; whole or not at all."""
    tensors = {f"now.{name}": value for name, value in model.trained_tensors().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    for place, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{place}.{name}": value for name, value in state.items()}
    facts = {
        "epoch": epoch,
        "best_epoch": report.best_epoch,
        "train_loss": report.train_loss,
        "validation_loss": report.validation_loss,
    }
    with atomic_path(folder / "epoch.safetensors") as part:
        save_file(
            {k: v.contiguous().clone() for k, v in tensors.items()},
            part,
            metadata={"facts": json.dumps(facts)},
        )


def _restore(
    folder: Path, model: EncoderClassifier, optimizer: torch.optim.AdamW, report: FinetuneReport
) -> tuple[int, dict[str, torch.Tensor]]:
    from safetensors import safe_open

    path = folder / "epoch.safetensors"
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["facts"])
    model.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("now.")}, strict=False)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("adam."):
            _, place, name = key.split(".", 2)
            state.setdefault(int(place), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    report.best_epoch, report.resumed_at_epoch = facts["best_epoch"], facts["epoch"]
    report.train_loss, report.validation_loss = facts["train_loss"], facts["validation_loss"]
    return facts["epoch"], {k[5:]: v for k, v in tensors.items() if k.startswith("best.")}
