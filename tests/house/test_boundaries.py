"""Tests which folder imports which, and how heavy `import evenhand` is."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("app", "cli", "evenhand", "models", "training")
#: Who may import whom. Rooms of the domain by their folder or file; training and app meet in the store and
#: the registry only.
MAY_IMPORT = {
    "evenhand/errors": set(),
    "evenhand/records": {"errors"},
    "evenhand/statistics": {"errors"},
    "evenhand/workspace": {"errors", "records"},
    "evenhand/similar": {"workspace"},
    "evenhand/store": {"errors", "records"},
    "evenhand/synthetic": {"errors", "records", "workspace"},
    "evenhand/ingest": {"errors", "records", "store", "workspace"},
    "evenhand/gold": {"records", "store", "workspace"},
    "evenhand/batches": {"errors", "records", "statistics", "store", "workspace"},
    "evenhand/flags": {"batches", "errors", "records", "store", "workspace"},
    "evenhand/rates": {"batches", "errors", "records", "statistics", "store", "workspace"},
    "evenhand/wording": {"rates", "records", "statistics"},
    "evenhand/report": {
        "batches",
        "errors",
        "rates",
        "records",
        "statistics",
        "store",
        "wording",
        "workspace",
    },
    "models": {"evenhand"},
    "training": {"evenhand", "models"},
    "app": {"evenhand", "models"},
    "cli": {"app", "evenhand", "models", "training"},
}
HEAVY = {"torch", "transformers", "mlflow", "streamlit", "sklearn", "datasets", "pandas"}
#: Statistics take arrays: they know no table, no store and no file.
TABLES = {"polars", "pyarrow", "sqlalchemy", "pandas"}


def imported(source: str) -> set[str]:
    """Modules that `source` imports anywhere, with the imported names: "evenhand.store.Store"."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports(source: str) -> set[str]:
    """Top-level packages that `source` imports anywhere."""
    return {name.split(".")[0] for name in imported(source)}


def modules(package: str) -> list[Path]:
    folder = ROOT / package
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def crossed(room: str, source: str) -> set[str]:
    """What `source`, a module of `room`, imports from our other rooms and packages."""
    home, _, own = room.partition("/")
    found = set()
    for name in imported(source):
        package, _, rest = name.partition(".")
        if package not in OURS:
            continue
        if package == "evenhand" == home:
            found |= {rest.split(".")[0]} - {own, "__version__"}
        else:
            found |= {package} - {home}
    return found


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_point_inwards(room):
    paths = modules(room)
    assert paths and all(path.exists() for path in paths)
    for path in paths:
        wrong = crossed(room, path.read_text(encoding="utf-8")) - MAY_IMPORT[room]
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_every_room_has_its_arrows_and_none_points_up():
    rooms = {
        f"evenhand/{path.stem}"
        for path in (ROOT / "evenhand").iterdir()
        if path.suffix == ".py" or list(path.glob("*.py"))
    }
    rooms -= {"evenhand/__init__"}
    assert rooms == {room for room in MAY_IMPORT if "/" in room}
    floor: dict[str, int] = {}

    def height(room: str, below: tuple[str, ...] = ()) -> int:
        assert room not in below, f"a ring of rooms: {below}"
        if room not in floor:
            inner = [name for name in rooms if name.removeprefix("evenhand/") in MAY_IMPORT[room]]
            floor[room] = 1 + max((height(name, (*below, room)) for name in inner), default=0)
        return floor[room]

    assert max(height(room) for room in rooms) <= 7


def test_nothing_imports_the_command_line():
    for package in set(OURS) - {"cli"}:
        for path in modules(package):
            assert "cli" not in imports(path.read_text(encoding="utf-8")), path


def test_statistics_know_arrays_only():
    for path in modules("evenhand/statistics"):
        assert not imports(path.read_text(encoding="utf-8")) & TABLES, path


def test_the_domain_imports_nothing_heavy():
    for path in modules("evenhand"):
        heavy = imports(path.read_text(encoding="utf-8")) & HEAVY
        assert not heavy, f"{path.relative_to(ROOT)} imports {sorted(heavy)}"


def test_the_guard_sees_a_planted_crossing():
    assert crossed("models", "def f():\n    from training.train import train\n") == {"training"}
    assert crossed("evenhand/store", "from evenhand import rates\nimport evenhand.report.model") == {
        "rates",
        "report",
    }
    assert crossed("evenhand/store", "from evenhand.store.base import note") == set()


def test_no_pickle_is_read_or_written():
    for package in OURS:
        for path in modules(package):
            source = path.read_text(encoding="utf-8")
            named = imports(source) & {"pickle", "cloudpickle", "joblib", "dill", "shelve"}
            assert not named, f"{path.relative_to(ROOT)} imports {sorted(named)}"
            assert "torch.load(" not in source, path


def test_help_starts_without_the_heavy_parts():
    code = (
        "import sys; from cli.main import main; main(['--help']);"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_package_inits_hold_a_docstring_and_reexports_only():
    for package in OURS:
        for node in ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8")).body:
            assert isinstance(node, ast.Expr | ast.Assign), package


def test_no_top_level_package_shadows_a_dependency():
    for package in OURS:
        names = {path.stem for path in (ROOT / package).glob("*.py")}
        assert not names & {"datasets", "mlflow", "torch", "streamlit", *OURS}, package


def test_importing_evenhand_takes_under_half_a_second():
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", "import evenhand"], check=True)
    # the machine may be busy; benchmarks/startup.py measures it properly
    assert time.monotonic() - start < 2.0
