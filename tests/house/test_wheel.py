"""Tests what is in the wheel, and that an installed wheel works without a clone."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest
from worlds.tiny_encoder import tiny_encoder

import evenhand

PACKAGES = ("app", "cli", "evenhand", "models", "training")
pytestmark = pytest.mark.slow


def run(*words: str | Path, **options) -> str:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(root: Path) -> list[str]:
    return run("git", "ls-files", cwd=root).splitlines()


@pytest.fixture(scope="module")
def root() -> Path:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    return root


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> Path:
    """A wheel of the tracked files; it is built from a copy, so that no old `build/` folder gets into it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked(root):
        if (root / name).exists():  # a file may be removed and not committed yet
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, source / name)
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "-w",
        out,
        source,
    )
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def place(wheel, tmp_path_factory) -> Path:
    """A virtual environment with the wheel and all packages that are installed here, but without a clone.

    A line in a .pth file adds a folder and does not read the .pth files in it, so an editable install of a
    clone is not visible.
    """
    place = tmp_path_factory.mktemp("place")
    run(sys.executable, "-m", "venv", "--without-pip", place / "venv")
    python = place / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "-q", "--python", python, "install", "--no-deps", "--no-index", wheel)
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(own) / "zz-installed-here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


@pytest.fixture
def environment() -> dict[str, str]:
    hidden = {"PYTHONPATH", "EVENHAND_WORKSPACE", "EVENHAND_USER"}
    return {name: value for name, value in os.environ.items() if name not in hidden}


def test_the_wheel_holds_every_file_of_the_packages(root, wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    wanted = {name for name in tracked(root) if name.split("/")[0] in PACKAGES and (root / name).exists()}
    assert len(wanted) > 100 and not wanted - names
    assert {name.split("/")[0] for name in names} == {*PACKAGES, f"evenhand-{evenhand.__version__}.dist-info"}


def test_the_packages_come_from_the_wheel(place, environment):
    code = "import app, cli, evenhand, models, training; print(*(m.__file__ for m in (app, cli, evenhand, models, training)))"
    python = place / "venv" / "bin" / "python"
    for file in run(python, "-c", code, cwd=place, env=environment).split():
        assert Path(file).is_relative_to(place)
    said = run(place / "venv" / "bin" / "evenhand", "--version", cwd=place, env=environment)
    assert evenhand.__version__ in said


def test_the_demo_runs_and_its_app_answers(place, environment):
    program = place / "venv" / "bin" / "evenhand"
    encoder = tiny_encoder(place / "encoder")
    said = run(
        program,
        "demo",
        "demo",
        "--decisions",
        "2000",
        "--budget",
        "60",
        "--encoder",
        encoder,
        cwd=place,
        env=environment,
    )
    assert "demo built in" in said and (place / "demo" / "evenhand.toml").exists()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = place / "app.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [program, "-w", "demo", "app", "--port", str(port), "--user", "demo-admin"],
            cwd=place,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 90
        while True:
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    assert page.status == 200 and "<title>" in page.read().decode()
                break
            except OSError:
                time.sleep(0.3)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
