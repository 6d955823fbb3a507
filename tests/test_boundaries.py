"""The import arrows between the folders, and how heavy `import evenhand` is."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"evenhand", "models", "training", "app"}
MAY_IMPORT = {
    "evenhand": {"evenhand"},
    "models": {"evenhand", "models"},
    "training": {"evenhand", "models", "training"},
    "app": {"evenhand", "models", "app"},
}
HEAVY = {"torch", "transformers", "mlflow", "streamlit", "sklearn", "datasets", "pandas"}


def imports(source: str) -> set[str]:
    """Top-level packages that `source` imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def may_cross(path: Path) -> bool:
    """The command line is the composition root."""
    return path.name == "cli.py" or "commands" in path.parts


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_point_inwards(package):
    for path in modules(package):
        if not may_cross(path):
            crossed = (imports(path.read_text(encoding="utf-8")) & OURS) - MAY_IMPORT[package]
            assert not crossed, f"{path.relative_to(ROOT)} imports {sorted(crossed)}"


def test_the_domain_imports_nothing_heavy():
    for path in modules("evenhand"):
        heavy = imports(path.read_text(encoding="utf-8")) & HEAVY
        assert not heavy or may_cross(path), f"{path.relative_to(ROOT)} imports {sorted(heavy)}"


def test_the_guard_sees_a_planted_crossing():
    assert imports("def f():\n    from training.train import train\n") & OURS == {"training"}


def test_no_pickle_is_read_or_written():
    for package in OURS:
        for path in modules(package):
            source = path.read_text(encoding="utf-8")
            named = imports(source) & {"pickle", "cloudpickle", "joblib", "dill", "shelve"}
            assert not named, f"{path.relative_to(ROOT)} imports {sorted(named)}"
            assert "torch.load(" not in source, path


def test_help_starts_without_the_heavy_parts():
    code = (
        "import sys; from evenhand.cli import main; main(['--help']);"
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
    assert time.monotonic() - start < 2.0  # a loaded machine; benchmarks/startup.py measures it properly
