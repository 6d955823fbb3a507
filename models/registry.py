"""Model versions in MLflow: register, list, promote, roll back, load. Nothing is unpickled."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sqlite3
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evenhand.errors import ModelError, OutsideError
from evenhand.store.schema import first_line
from evenhand.workspace.telemetry import quiet
from evenhand.workspace.workspace import Workspace

quiet()

import datasets  # noqa: E402
import mlflow  # noqa: E402  telemetry is switched off first
from mlflow.data.code_dataset_source import CodeDatasetSource  # noqa: E402
from mlflow.data.huggingface_dataset import HuggingFaceDataset  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from sqlalchemy.exc import SQLAlchemyError  # noqa: E402

from models.bundle import ModelBundle  # noqa: E402
from models.registry_paths import artifacts_location, location_here, path_here, settle_in  # noqa: E402

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_REQUIREMENTS = [
    "torch==2.13.0",
    "transformers>=5.23,<6",
    "safetensors",
    "polars",
    "scikit-learn",
    "tokenizers",
]

for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.ERROR)


@dataclass(frozen=True, kw_only=True)
class Version:
    """One registered version."""

    version: str
    name: str  # "evenhand-3"
    aliases: tuple[str, ...]
    policy_versions: tuple[str, ...]
    created_at: datetime
    n_rulings: int
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Input:
    """Data that a version was made from, and the digest that it is known by.

    MLflow gets columns and sizes, never a row.
    """

    rows: datasets.Dataset
    digest: str


class Registry:
    """The workspace's MLflow registry."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._model = ws.config.registry.model_name
        self._embedded = not ws.config.registry.tracking_uri
        if self._embedded:
            ws.registry_dir.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(ws.tracking_uri)
        try:
            self._client = MlflowClient(ws.tracking_uri)
            self._experiment = self._experiment_id()
        except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as problem:
            raise OutsideError(
                f"{ws.tracking_uri}: the model registry cannot be opened ({first_line(problem)}); check the file or the"
                " server, and [registry] tracking_uri in evenhand.toml"
            ) from problem

    def _experiment_id(self) -> str:
        """The experiment of all runs, made at the first call; an embedded one points into the workspace."""
        home = artifacts_location(self._ws) if self._embedded else None
        found = self._client.get_experiment_by_name(self._model)
        if found is None:
            return str(self._client.create_experiment(self._model, artifact_location=home))
        there = found.artifact_location
        if home is not None and there != home == location_here(self._ws, there):
            settle_in(self._ws, found.experiment_id, there)
        return str(found.experiment_id)

    def register(
        self,
        bundle: Path,
        *,
        params: Mapping[str, Any],
        metrics: Mapping[str, Any],
        policy_versions: tuple[str, ...],
        inputs: Mapping[str, Input],
    ) -> str:
        """Log the bundle folder with its metrics and register it as `challenger`.

        Returns the version's number. `inputs`: the data that it was made from, by what they were for:
        "training".
        """
        overall = {k: float(v) for k, v in metrics.get("overall", {}).items() if isinstance(v, int | float)}
        tags = {
            "policy_versions": json.dumps(list(policy_versions)),
            "n_rulings": str(params.get("n_rulings", 0)),
            "metrics": json.dumps(overall),
        }
        with warnings.catch_warnings(), mlflow.start_run(experiment_id=self._experiment):
            warnings.simplefilter("ignore")  # MLflow's own deprecations and type-hint advice
            mlflow.log_params({k: str(v)[:500] for k, v in params.items()})
            mlflow.log_metrics(overall)
            mlflow.log_dict(dict(metrics), "metrics.json")
            for name, data in inputs.items():
                _log_input(name, data, params)
            version = self._log_model(bundle, tags)
        for key, value in tags.items():
            self._client.set_model_version_tag(self._model, version, key, value)
        self._client.set_registered_model_alias(self._model, CHALLENGER, version)
        return version

    def _log_model(self, bundle: Path, tags: dict[str, str]) -> str:
        """The bundle as a model of MLflow's, with our code beside it; the new version's number."""
        root = Path(__file__).resolve().parents[1]
        with contextlib.redirect_stderr(io.StringIO()):  # MLflow announces the version; we do so ourselves
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                artifacts={"bundle": str(bundle)},
                code_paths=[str(root / "evenhand"), str(root / "models")],
                pip_requirements=_REQUIREMENTS,
                registered_model_name=self._model,
                tags=tags,
            )
        return str(info.registered_model_version)

    def versions(self) -> list[Version]:
        """All versions, newest first."""
        aliases: dict[str, list[str]] = {}
        for alias, number in self._aliases().items():
            aliases.setdefault(number, []).append(alias)
        found = self._client.search_model_versions(f"name='{self._model}'")
        rows = [
            Version(
                version=str(row.version),
                name=f"{self._model}-{row.version}",
                aliases=tuple(sorted(aliases.get(str(row.version), []))),
                policy_versions=tuple(json.loads(row.tags.get("policy_versions", "[]"))),
                created_at=datetime.fromtimestamp(row.creation_timestamp / 1000, UTC),
                n_rulings=int(row.tags.get("n_rulings", 0)),
                metrics=json.loads(row.tags.get("metrics", "{}")),
            )
            for row in found
        ]
        return sorted(rows, key=lambda row: -int(row.version))

    def _aliases(self) -> dict[str, str]:
        try:
            return {k: str(v) for k, v in self._client.get_registered_model(self._model).aliases.items()}
        except MlflowException:
            return {}  # nothing registered yet

    def number(self, version: str) -> str:
        """The number behind a number, a name ("evenhand-3") or an alias; ModelError if there is none."""
        aliases = self._aliases()
        if version in (CHAMPION, CHALLENGER, PREVIOUS):
            if version in aliases:
                return aliases[version]
            advice = {
                CHAMPION: "run `evenhand train`, then `evenhand models promote challenger`",
                CHALLENGER: "run `evenhand train`",
                PREVIOUS: "there is nothing to roll back to",
            }
            raise ModelError(f"no {version} yet; {advice[version]}")
        wanted = version.removeprefix(f"{self._model}-")
        known = [row.version for row in self.versions()]
        if wanted not in known:
            raise ModelError(
                f"no model version {version!r}; known: {', '.join(known) or 'none yet, run `evenhand train`'}"
            )
        return wanted

    def champion(self) -> str | None:
        """The champion's number; None before the first promotion."""
        return self._aliases().get(CHAMPION)

    def name(self, version: str) -> str:
        """The full name of a version, like "evenhand-3"."""
        return f"{self._model}-{self.number(version)}"

    def policy_versions(self, version: str) -> tuple[str, ...]:
        """The policy versions that it covers."""
        number = self.number(version)
        return next(row.policy_versions for row in self.versions() if row.version == number)

    def promote(self, version: str) -> str:
        """Make it champion, keep the one before as `previous`; returns its number."""
        number, aliases = self.number(version), self._aliases()
        before = aliases.get(CHAMPION)
        if before and before != number:
            self._client.set_registered_model_alias(self._model, PREVIOUS, before)
        self._client.set_registered_model_alias(self._model, CHAMPION, number)
        if aliases.get(CHALLENGER) == number:
            self._client.delete_registered_model_alias(self._model, CHALLENGER)
        return number

    def rollback(self) -> str:
        """Make the previous champion champion again; returns its number."""
        number = self.number(PREVIOUS)
        before = self.number(CHAMPION)
        self._client.set_registered_model_alias(self._model, CHAMPION, number)
        self._client.set_registered_model_alias(self._model, PREVIOUS, before)
        return number

    def folder(self, version: str) -> Path:
        """The bundle's folder on this machine: in the workspace, or fetched from a tracking server."""
        number = self.number(version)
        uri = f"models:/{self._model}/{number}"
        try:
            if self._embedded:
                place = path_here(self._ws, self._client.get_model_version_download_uri(self._model, number))
            else:
                place = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
        except (MlflowException, OSError) as problem:
            raise OutsideError(f"{uri}: the model's files cannot be read ({problem})") from problem
        if self._embedded and not place.is_dir():
            raise OutsideError(
                f"{place}: the files of {self._model}-{number} are missing from this workspace; restore the folder from a"
                " backup, or from the workspace that this one is a copy of"
            )
        found = sorted(place.glob("artifacts/*/manifest.json"))
        if not found:
            raise ModelError(f"{uri}: holds no bundle; register the model again")
        return found[0].parent

    def load(self, version: str) -> ModelBundle:
        """The bundle of a version or alias; ModelError if there is none."""
        return ModelBundle.load(self.folder(version), allow_download=self._ws.config.model.allow_download)

    def details(self, version: str) -> dict[str, Any]:
        """All that is known of a version: registry row and manifest."""
        number = self.number(version)
        row = next(row for row in self.versions() if row.version == number)
        manifest = json.loads((self.folder(version) / "manifest.json").read_text(encoding="utf-8"))
        return {"version": row, "manifest": manifest}


def _log_input(name: str, data: Input, params: Mapping[str, Any]) -> None:
    """Tell MLflow what the run under way has read: digest, columns and size, and which gold it came from."""
    source = CodeDatasetSource({key: str(params[key]) for key in ("data_hash", "code_version")})
    mlflow.log_input(
        HuggingFaceDataset(data.rows, source, name=f"rulings-{name}", digest=data.digest), context=name
    )
