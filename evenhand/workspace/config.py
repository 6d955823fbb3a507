"""`evenhand.toml`: frozen settings, unknown keys refused. Importing this module does nothing else."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from evenhand.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    """Where rulings, draws and policies live. Empty url: SQLite inside the workspace."""

    url: str = ""


@dataclass(frozen=True, kw_only=True)
class RegistryConfig:
    """Where MLflow lives. Empty tracking_uri: SQLite and local artifacts inside the workspace."""

    tracking_uri: str = ""
    model_name: str = "evenhand"


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The encoder and how it is fine-tuned."""

    encoder: str = "bundled:multilingual-e5-small"  # or a hub id, or a folder
    max_tokens: int = 128
    train_embeddings: bool = False
    epochs: int = 3
    batch_size: int = 16
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    patience: int = 2  # evaluations without gain before training stops
    threads: int = 0  # 0: all cores
    int8: bool = True  # judge with 8-bit weights where the CPU can: about 2.5 times as fast
    moderator_history: bool = True  # may a moderator's overturn rate move the rank of their decisions
    seed: int = 20_261_123
    allow_download: bool = False  # let a hub id reach the network


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """The review batch: how much width to give up for yield, and the defensive floor."""

    kappa: float = 1.0  # anticipated half-width relative to a random draw of the same size
    floor: float = 0.35  # epsilon: share of flat sampling mixed into the sqrt design
    cell_floor: float = 0.5  # share of the floor that goes per cell instead of per decision
    cells: tuple[str, ...] = ("market", "area")


@dataclass(frozen=True, kw_only=True)
class ReviewConfig:
    """How the review desk behaves."""

    blur: bool = True
    blind: bool = False  # True hides the decision and all of the model's view until the SME has ruled
    minutes_per_case: float = 1.5


@dataclass(frozen=True, kw_only=True)
class AppConfig:
    """Where the app listens."""

    host: str = "127.0.0.1"
    port: int = 8501


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """Foreign column names: `decisions.case_id = "content_id"` reads column content_id as case_id."""

    decisions: Mapping[str, str] = field(default_factory=dict)
    rulings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a workspace."""

    store: StoreConfig = StoreConfig()
    registry: RegistryConfig = RegistryConfig()
    model: ModelConfig = ModelConfig()
    draw: DrawConfig = DrawConfig()
    review: ReviewConfig = ReviewConfig()
    app: AppConfig = AppConfig()
    ingest: IngestConfig = IngestConfig()


def _refuse_unknown(raw: Mapping[str, Any], known: list[str], where: str) -> None:
    if extra := sorted(set(raw) - set(known)):
        raise ConfigError(f"{where}: unknown key {extra[0]!r}; known keys: {', '.join(known)}")


def _value(raw: Any, default: Any, where: str) -> Any:
    if isinstance(default, bool):
        wanted, fits = "true or false", isinstance(raw, bool)
    elif isinstance(default, float):
        wanted, fits = (
            "a number",
            isinstance(raw, int | float) and not isinstance(raw, bool) and math.isfinite(raw),
        )
        raw = float(raw) if fits else raw
    elif isinstance(default, int):
        wanted, fits = "a whole number", isinstance(raw, int) and not isinstance(raw, bool)
    elif isinstance(default, str):
        wanted, fits = "a text in quotes", isinstance(raw, str)
    elif isinstance(default, tuple):
        wanted, fits = "a list of texts", isinstance(raw, list) and all(isinstance(x, str) for x in raw)
        raw = tuple(raw) if fits else raw
    else:
        wanted, fits = (
            "a table of texts",
            isinstance(raw, dict) and all(isinstance(x, str) for x in raw.values()),
        )
    if not fits:
        raise ConfigError(f"{where}: {raw!r} is not {wanted}")
    return raw


def _section(cls: type[Any], raw: Any, where: str) -> Any:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}: expected a table like [{where.split()[-1]}]")
    _refuse_unknown(raw, [f.name for f in fields(cls)], where)
    defaults, values = cls(), {}
    for f in fields(cls):
        if f.name in raw:
            values[f.name] = _value(raw[f.name], getattr(defaults, f.name), f"{where}.{f.name}")
    return cls(**values)


def _check_names(config: Config, source: str) -> Config:
    """The model's name becomes part of folder names, so it may not lead out of them."""
    name = config.registry.model_name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ConfigError(
            f"{source}: registry.model_name: {name!r} is no plain name; use letters, digits, - and _"
        )
    return config


def parse_config(text: str, source: str = "evenhand.toml") -> Config:
    """Settings from TOML text; ConfigError names the file, the key and the known keys."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{source}: not valid TOML: {problem}") from problem
    known = {f.name: type(f.default) for f in fields(Config)}
    _refuse_unknown(raw, list(known), source)
    sections = {name: _section(known[name], value, f"{source}: {name}") for name, value in raw.items()}
    return _check_names(Config(**sections), source)


def read_config(path: Path) -> Config:
    """Settings from the TOML file at `path`."""
    try:
        return parse_config(path.read_text(encoding="utf-8-sig"), path.name)  # Notepad writes a mark first
    except OSError as problem:
        raise ConfigError(
            f"{path}: cannot be read ({problem.strerror or problem}); check the file"
        ) from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: not UTF-8 ({problem}); save it as UTF-8") from problem
