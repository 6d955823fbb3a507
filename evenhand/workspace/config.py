"""The settings in `evenhand.toml`: they cannot change, and unknown keys are refused."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from evenhand.errors import ConfigError
from evenhand.records.columns import DOMAINS

N = TypeVar("N", int, float)


def _within(default: N, low: N, high: N) -> N:
    """A setting with this default that takes numbers from `low` to `high`."""
    value: N = field(default=default, metadata={"within": (low, high)})
    return value


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    """Where rulings, draws and policies are stored. Empty url: SQLite inside the workspace."""

    url: str = ""


@dataclass(frozen=True, kw_only=True)
class RegistryConfig:
    """Where MLflow keeps its data. Empty tracking_uri: SQLite and local artifacts inside the workspace."""

    tracking_uri: str = ""
    model_name: str = "evenhand"


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The encoder and how it is fine-tuned."""

    encoder: str = "bundled:multilingual-e5-small"  # or a hub id, or a folder
    max_tokens: int = _within(128, 8, 8_192)
    train_embeddings: bool = False
    epochs: int = _within(3, 1, 1_000)
    batch_size: int = _within(16, 1, 4_096)
    learning_rate: float = _within(1e-4, 1e-9, 1.0)
    head_learning_rate: float = _within(1e-3, 1e-9, 1.0)
    patience: int = _within(2, 1, 1_000)  # evaluations without gain before training stops
    threads: int = _within(0, 0, 1_024)  # 0: all cores
    int8: bool = True  # judge with 8-bit weights where the CPU can: about 2.5 times as fast
    # whether a moderator's overturn rate may change the rank of their decisions
    moderator_history: bool = True
    seed: int = _within(20_261_123, 0, 2**32 - 1)
    allow_download: bool = False  # whether a hub id may be downloaded


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """The review batch: how much width to give up to find more errors, and the defensive floor."""

    # anticipated half-width relative to a random draw of the same size
    kappa: float = _within(1.0, 0.01, 100.0)
    floor: float = _within(0.35, 0.001, 1.0)  # epsilon: share of flat sampling mixed into the sqrt design
    # share of the floor that goes per cell instead of per decision
    cell_floor: float = _within(0.5, 0.0, 1.0)
    cells: tuple[str, ...] = ("market", "area")


@dataclass(frozen=True, kw_only=True)
class ReviewConfig:
    """The behaviour of the review desk."""

    blur: bool = True
    blind: bool = False  # True hides the decision and everything from the model until the SME has ruled
    minutes_per_case: float = _within(1.5, 0.01, 1_440.0)


@dataclass(frozen=True, kw_only=True)
class AppConfig:
    """The address on which the app listens."""

    host: str = "127.0.0.1"
    port: int = _within(8501, 1, 65_535)


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
            isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) < 1e300,
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
            value = _value(raw[f.name], getattr(defaults, f.name), f"{where}.{f.name}")
            if "within" in f.metadata:
                low, high = f.metadata["within"]
                if not low <= value <= high:
                    raise ConfigError(f"{where}.{f.name}: {value!r} is not from {low:,.10g} to {high:,.10g}")
            values[f.name] = value
    return cls(**values)


def _check_names(config: Config, source: str) -> Config:
    """Check names in the settings.

    The model's name becomes part of folder names, so it must stay inside them. Cells are made of columns that
    frames have.
    """
    if unknown := sorted(set(config.draw.cells) - set(DOMAINS)):
        raise ConfigError(
            f"{source}: draw.cells: {unknown[0]!r} is unknown; use some of {', '.join(DOMAINS)}"
        )
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
        # Notepad writes a byte order mark at the start
        return parse_config(path.read_text(encoding="utf-8-sig"), path.name)
    except OSError as problem:
        raise ConfigError(
            f"{path}: cannot be read ({problem.strerror or problem}); check the file"
        ) from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: not UTF-8 ({problem}); save it as UTF-8") from problem
