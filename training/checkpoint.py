"""Checkpoints of training runs that were cut short: written, found, and refused where they do not fit."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

import evenhand
from evenhand.workspace.config import ModelConfig
from evenhand.workspace.files import atomic_path
from models.labels.classifier import EncoderClassifier
from training.training_set import TrainingSet

Tensors = dict[str, torch.Tensor]

FORMAT = 3  # of the file; one more whenever its content or what a step of training does changes
FILE = "epoch.safetensors"
_KEEP_SECONDS = 24 * 3600  # a checkpoint written to since may be of a run that is still going
#: Settings that change nothing of the fine-tuning, or that the fingerprint has from elsewhere.
#: A new setting counts until it stands here.
_OTHER_SETTINGS = ("encoder", "seed", "threads", "int8", "moderator_history", "allow_download")


class UnfitCheckpoint(Exception):
    """A checkpoint that cannot be gone on from; the message says why. Training starts anew."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a checkpoint holds.

    That is the epochs done, losses as in `FinetuneReport`, tensors, and the optimizer's state.
    """

    epoch: int
    best_epoch: int
    train_loss: list[float]
    validation_loss: list[float]
    now: Tensors
    best: Tensors
    adam: dict[int, Tensors]  # by place of the parameter in the optimizer


def fingerprint(
    model: EncoderClassifier, train: TrainingSet, validation: TrainingSet, *, config: ModelConfig, seed: int
) -> dict[str, str]:
    """All that decides what fine-tuning gives, by a name that a person reads; taken before training.

    A checkpoint is gone on from only where every entry is the same.
    """
    encoder = model.encoder
    settings = {name: value for name, value in asdict(config).items() if name not in _OTHER_SETTINGS}
    return {
        "seed": str(seed),
        "examples": _digest([train.examples, validation.examples]),
        "policy wordings": _digest([asdict(spec) for spec in model.heads.values()]),
        "settings": _digest(settings),
        "encoder": _digest(
            [
                encoder.revision,  # of the weights; the same encoder may lie in another folder
                encoder.max_tokens,
                encoder.tokenizer.to_str(),
                encoder.model.config.to_json_string(),
            ]
        ),
        "version of Evenhand": f"{evenhand.__version__}, format {FORMAT}",
    }


def _digest(value: object) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()


def folder_for(root: Path, of: Mapping[str, str]) -> Path:
    """The folder under `root` that keeps the checkpoint of fingerprint `of`."""
    return root / _digest(of)


def keep(folder: Path, of: Mapping[str, str], kept: Kept) -> None:
    """Write one file with weights, best weights and optimizer state; whole or not at all."""
    tensors = {f"now.{name}": value for name, value in kept.now.items()}
    tensors |= {f"best.{name}": value for name, value in kept.best.items()}
    for place, state in kept.adam.items():
        tensors |= {f"adam.{place}.{name}": value for name, value in state.items()}
    facts = {
        "of": dict(of),
        "epoch": kept.epoch,
        "best_epoch": kept.best_epoch,
        "train_loss": kept.train_loss,
        "validation_loss": kept.validation_loss,
    }
    with atomic_path(folder / FILE) as part:
        save_file(
            {k: v.contiguous().clone() for k, v in tensors.items()},
            part,
            metadata={"facts": json.dumps(facts)},
        )


def read(folder: Path, of: Mapping[str, str], trained: Tensors, parameters: list[torch.nn.Parameter]) -> Kept:
    """The checkpoint in `folder`, checked against its fingerprint, the model and the optimizer.

    Raises UnfitCheckpoint if it is damaged or of something else, FileNotFoundError if there is none.
    """
    facts, tensors = _open(folder / FILE, with_tensors=True)
    if facts.get("of") != dict(of):
        raise UnfitCheckpoint(_differs(facts, of))
    parts: dict[str, Tensors] = {"now": {}, "best": {}, "adam": {}}
    for key, value in tensors.items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = value
    try:
        kept = Kept(
            epoch=int(facts["epoch"]),
            best_epoch=int(facts["best_epoch"]),
            train_loss=[float(loss) for loss in facts["train_loss"]],
            validation_loss=[float(loss) for loss in facts["validation_loss"]],
            now=parts.pop("now"),
            best=parts.pop("best"),
            adam=_states(parts.pop("adam"), parameters),
        )
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as problem:
        raise UnfitCheckpoint(f"damaged: {problem!r}") from problem
    shapes = {name: value.shape for name, value in trained.items()}
    fits = all(
        {name: value.shape for name, value in found.items()} == shapes for found in (kept.now, kept.best)
    )
    counts = {len(kept.train_loss), len(kept.validation_loss) - 1}
    if parts or not fits or counts != {kept.epoch} or not 0 <= kept.best_epoch <= kept.epoch > 0:
        raise UnfitCheckpoint("damaged: its tensors or losses do not fit")
    return kept


def _states(tensors: Tensors, parameters: list[torch.nn.Parameter]) -> dict[int, Tensors]:
    """Adam's state by place of the parameter; ValueError where it does not fit."""
    found: dict[int, Tensors] = {}
    for key, value in tensors.items():
        place, _, name = key.partition(".")
        found.setdefault(int(place), {})[name] = value
    for number, state in found.items():
        shape = parameters[number].shape
        expected = {"step": torch.Size(()), "exp_avg": shape, "exp_avg_sq": shape}
        if {name: value.shape for name, value in state.items()} != expected:
            raise ValueError(f"optimizer state {number} does not fit")
    return found


def _open(path: Path, *, with_tensors: bool) -> tuple[dict[str, Any], Tensors]:
    """Facts and tensors of a checkpoint file."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            names = file.keys() if with_tensors else []
            tensors = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, ValueError) as problem:
        raise UnfitCheckpoint(f"damaged: {problem}") from problem
    if not isinstance(facts, dict):
        raise UnfitCheckpoint("damaged: its facts are no mapping")
    return facts, tensors


def _differs(facts: Mapping[str, Any], of: Mapping[str, str]) -> str:
    there = facts.get("of")
    if not isinstance(there, dict):
        return "other version of Evenhand"
    return "other " + ", ".join(name for name, value in of.items() if there.get(name) != value)


def other_than(root: Path, of: Mapping[str, str]) -> str:
    """Why the newest checkpoint of another run with the same seed under `root` does not fit.

    Empty where there is none.
    """
    for _, folder in sorted(_folders(root), reverse=True):
        try:
            facts, _ = _open(folder / FILE, with_tensors=False)
        except FileNotFoundError:  # cut before its first epoch ended, or removed by a run beside this one
            continue
        except UnfitCheckpoint as problem:
            return str(problem)
        there = facts.get("of")
        if not isinstance(there, dict) or there.get("seed") == of["seed"]:
            return _differs(facts, of)
    return ""


def _folders(root: Path) -> list[tuple[float, Path]]:
    """Folders of checkpoints, each with the time of its last write."""
    found = []
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            if folder.is_dir():
                found.append((folder.stat().st_mtime, folder))
        except FileNotFoundError:  # a run beside this one has just ended
            continue
    return found


def remove_stale(root: Path) -> None:
    """Remove the checkpoints under `root` that nothing was written to for a day."""
    for at, folder in _folders(root):
        if time.time() - at > _KEEP_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
