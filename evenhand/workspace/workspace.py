"""A workspace: one folder with lake, store, registry and `evenhand.toml`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from evenhand.errors import WorkspaceError
from evenhand.workspace.config import Config, read_config
from evenhand.workspace.files import write_text

SCHEMA = 1
CONFIG_NAME = "evenhand.toml"
_MARK = ".evenhand-workspace"

DEFAULT_TOML = """\
# Evenhand workspace. Every setting has a default; `evenhand doctor` shows what is in force.

[model]
encoder = "bundled:multilingual-e5-small"   # or a hub id, or a folder

[draw]
kappa = 1.0        # 1.0: never a wider interval than a random draw; 1.25: hunt for more errors

[review]
blur = true        # texts stay blurred until the SME asks for them

# Foreign column names, where your export has its own:
# [ingest.decisions]
# case_id = "content_id"
"""


@dataclass(frozen=True)
class Workspace:
    """Paths and settings of one workspace. Opening it checks that this code can read it."""

    root: Path
    config: Config

    @property
    def decisions_dir(self) -> Path:
        """Lake: `decisions/day=YYYY-MM-DD/*.parquet`."""
        return self.root / "decisions"

    @property
    def scores_dir(self) -> Path:
        """Lake: `scores/model=NAME-VERSION/day=YYYY-MM-DD/*.parquet`."""
        return self.root / "scores"

    @property
    def flags_dir(self) -> Path:
        """Ranked flags, one Parquet file a model version."""
        return self.root / "flags"

    @property
    def conflicts_file(self) -> Path:
        """Near-identical content decided differently: the result of the last `evenhand conflicts`."""
        return self.root / "conflicts.parquet"

    @property
    def draws_dir(self) -> Path:
        """Frames of the draws, one Parquet file a draw, immutable."""
        return self.root / "draws"

    @property
    def quarantine_dir(self) -> Path:
        """Rows that failed a check, one file an ingest run."""
        return self.root / "quarantine"

    @property
    def registry_dir(self) -> Path:
        """Embedded MLflow: `mlflow.db` and `artifacts/`."""
        return self.root / "registry"

    @property
    def training_dir(self) -> Path:
        """Checkpoints of training runs that did not finish."""
        return self.root / "training"

    @property
    def store_url(self) -> str:
        """SQLAlchemy url of the store."""
        return self.config.store.url or f"sqlite:///{self.root / 'store.db'}"

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking uri."""
        return self.config.registry.tracking_uri or f"sqlite:///{self.registry_dir / 'mlflow.db'}"


def _check_root(root: Path) -> None:
    if found := sorted({"?", "%"} & set(str(root))):
        raise WorkspaceError(f"{root}: database urls cannot hold {found[0]!r}; name a folder without it")


def create_workspace(root: Path) -> Workspace:
    """Make an empty workspace at `root`; WorkspaceError if one is there already."""
    root = root.expanduser().resolve()
    if (root / CONFIG_NAME).exists():
        raise WorkspaceError(f"{root}: is a workspace already; use it, or name another folder")
    _check_root(root)
    if root.exists() and not root.is_dir():
        raise WorkspaceError(f"{root}: is a file; name a new or empty folder")
    # the mark: an init that did not finish
    if root.exists() and {path.name for path in root.iterdir()} - {_MARK}:
        raise WorkspaceError(f"{root}: is not empty; name a new or empty folder")
    write_text(root / _MARK, f"{SCHEMA}\n")
    write_text(root / CONFIG_NAME, DEFAULT_TOML)
    return open_workspace(root)


def find_workspace(given: Path | None) -> Path:
    """The workspace folder: `given`, else EVENHAND_WORKSPACE, else the current folder."""
    return given or Path(os.environ.get("EVENHAND_WORKSPACE") or ".")


def open_workspace(root: Path) -> Workspace:
    """The workspace at `root`; WorkspaceError if there is none or it is newer than this code."""
    root = root.expanduser().resolve()
    if not (root / CONFIG_NAME).exists():
        raise WorkspaceError(
            f"{root}: no workspace here; run `evenhand init {root}`, or name one with --workspace"
            " or EVENHAND_WORKSPACE"
        )
    _check_root(root)
    mark = root / _MARK
    found = mark.read_text(encoding="utf-8", errors="replace").strip() if mark.exists() else "missing"
    if not found.isdecimal():
        raise WorkspaceError(
            f"{mark}: should hold the schema number, holds {found!r}; restore it from a backup"
        )
    if int(found) > SCHEMA:
        raise WorkspaceError(
            f"{root}: workspace schema {found} is newer than this Evenhand reads ({SCHEMA}); upgrade Evenhand"
        )
    return Workspace(root=root, config=read_config(root / CONFIG_NAME))
