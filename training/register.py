"""Step 4 of training: the new version goes into the registry, and the checkpoints of the run go."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import polars as pl

from evenhand.similar.groups import marks
from evenhand.workspace.config import ModelConfig
from evenhand.workspace.workspace import Workspace
from models.known_cases import save_known_cases
from models.registry import Input, Registry
from training.checkpoint import remove_stale
from training.fit import Fitted
from training.prepare import Prepared
from training.tune import Tuned


def register(
    ws: Workspace, prepared: Prepared, tuned: Tuned, fitted: Fitted, config: ModelConfig, *, by: str
) -> str:
    """The new version's number. MLflow's database gets digests, counts and metrics, nothing of a text."""
    manifest = fitted.bundle.manifest
    params = {
        "encoder": manifest.encoder,
        "encoder_revision": manifest.encoder_revision,
        "data_hash": manifest.data_hash,
        "n_rulings": manifest.n_rulings,
        "seed": config.seed,
        "validation_loss": [round(loss, 4) for loss in tuned.report.validation_loss],
        "by": by,
        "code_version": manifest.code_version,
    }
    with tempfile.TemporaryDirectory(prefix="evenhand-") as parent:
        folder = Path(parent) / "bundle"
        fitted.bundle.save(folder)
        ruled = prepared.rows.filter(pl.Series(prepared.for_learning))
        save_known_cases(marks(ruled["text"].to_list(), ruled["conversation_id"].to_list()), folder)
        version = Registry(ws).register(
            folder,
            params=params,
            metrics=fitted.metrics,
            policy_versions=manifest.policy_versions,
            inputs={name: Input(data.rows, data.digest) for name, data in tuned.sets.items() if len(data)},
        )
    if tuned.report.checkpoint is not None:
        shutil.rmtree(tuned.report.checkpoint, ignore_errors=True)
    remove_stale(ws.training_dir)
    return version
