"""Fixtures for all tests. Telemetry is off and model hubs are blocked before any dependency is imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from sqlalchemy import create_engine, text
from worlds import scored_world
from worlds.postgres_server import postgres_server
from worlds.small_workspace import trained_once

from evenhand.store import Store
from evenhand.synthetic import generate
from evenhand.workspace.telemetry import quiet
from evenhand.workspace.workspace import Workspace

if TYPE_CHECKING:
    from training.train import TrainReport

quiet()
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tiny encoder is too small for a second thread


#: Fixtures and folders whose tests build a whole workspace: `make quick` leaves them to `make test`.
BUILDERS = {"truth", "trained_world", "data_dir"}
BUILDING = ("app", "benchmarks", "cli", "models", "training")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what builds a workspace, by what it uses or where it stands."""
    tests = Path(__file__).parent
    for item in items:
        used = BUILDERS & set(getattr(item, "fixturenames", ()))
        if used or item.path.relative_to(tests).parts[0] in BUILDING:
            item.add_marker("builds")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the public data sets, if the machine has them."""
    root = Path(os.environ.get("EVENHAND_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (root / "README.md").exists():
        pytest.skip("the public data sets are not on this machine; set EVENHAND_DATA")
    return root


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The url of a PostgreSQL server, without a database."""
    yield from postgres_server()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The url of an empty database for a store, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    server = request.getfixturevalue("postgres")
    admin = create_engine(
        f"{server}/postgres", isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3}
    )
    name = f"evenhand_{uuid.uuid4().hex[:12]}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield f"{server}/{name}"
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the workspace and the user of the person who runs the tests."""
    for name in ("EVENHAND_WORKSPACE", "EVENHAND_USER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def git_root() -> Path:
    """The repository, for tests that read its tracked files."""
    root = Path(__file__).resolve().parents[1]
    if (
        shutil.which("git") is None
        or subprocess.run(["git", "rev-parse"], cwd=root, capture_output=True, check=False).returncode
    ):
        pytest.skip("not a git checkout")
    return root


@pytest.fixture(scope="session")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic decisions with their right labels."""
    folder = tmp_path_factory.mktemp("truth")
    generate(seed=5, decisions=4_000, rulings=100, out_dir=folder)
    return folder


@pytest.fixture
def world(tmp_path: Path, truth: Path) -> Iterator[tuple[Workspace, Store, pl.DataFrame]]:
    """A workspace whose made-up scores have some skill: (workspace, store, true labels)."""
    ws, store, known = scored_world.build(tmp_path / "w", truth)
    yield ws, store, known
    store.close()


@pytest.fixture(scope="session")
def trained_world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainReport]:
    """Where a trained workspace lies that all tests of the session copy, and how its training went."""
    base = tmp_path_factory.getbasetemp()
    return trained_once(base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base)
