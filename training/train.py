"""`evenhand train`: the gold becomes a registered challenger, in four steps."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from evenhand.store import Store
from evenhand.workspace.workspace import Workspace
from training.fit import fit
from training.prepare import Prepared, prepare
from training.register import register
from training.splits import PARTS
from training.tune import Tuned, tune


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

    Goes on where a killed run of the same data, policy wordings and settings stopped, unless `resume` is
    false. Raises TrainingError if there is too little gold.
    """
    began = time.monotonic()
    config = ws.config.model if seed is None else replace(ws.config.model, seed=seed)
    prepared = prepare(ws, store, config)
    tuned = tune(ws, prepared, config, resume=resume)
    fitted = fit(ws, prepared, tuned, config)
    version = register(ws, prepared, tuned, fitted, config, by=by)
    return TrainReport(
        version=version,
        metrics=fitted.metrics,
        data_hash=prepared.data_hash,
        n_rulings=prepared.rows.height,
        parts={name: int((prepared.part == name).sum()) for name in PARTS},
        seconds=time.monotonic() - began,
        examples_per_second=tuned.report.examples_per_second,
        notes=tuple(_notes(prepared, tuned)),
    )


def _notes(prepared: Prepared, tuned: Tuned) -> list[str]:
    """What a person should know of the run."""
    draws = prepared.rows.filter(pl.Series(prepared.for_learning))["draw_id"]
    drawn = len(draws) - draws.null_count()
    notes = [
        f"{drawn} of {len(draws)} rulings were drawn and count with their weight"
        if drawn
        else "no ruling was drawn: p_overturn is calibrated for cases like those that were ruled on"
    ]
    if prepared.left_out:
        notes.append(prepared.left_out)
    if tuned.report.resumed_at_epoch:
        notes.append(f"went on after epoch {tuned.report.resumed_at_epoch} of a run that was cut short")
    if tuned.report.not_resumed:
        notes.append(
            f"the checkpoint of an earlier run could not be used ({tuned.report.not_resumed}), started anew"
        )
    return notes
