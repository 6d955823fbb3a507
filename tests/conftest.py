"""Shared fixtures. Telemetry is off and hubs are out of reach before any dependency is imported."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import postgres_server

from evenhand.telemetry import quiet

quiet()
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tiny encoder has nothing for a second thread


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The public data sets, where the machine has them."""
    root = Path(os.environ.get("EVENHAND_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (root / "README.md").exists():
        pytest.skip("the public data sets are not on this machine; set EVENHAND_DATA")
    return root


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server's url, without a database."""
    yield from postgres_server()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the workspace or the user of whoever runs it."""
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
