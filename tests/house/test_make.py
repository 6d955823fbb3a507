"""Tests that make, the hooks before a commit and continuous integration run the same checks."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile, with the folder of the default environment."""
    (found,) = re.findall(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)+)", MAKEFILE, flags=re.M)
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in found.splitlines()]


def test_the_hooks_before_a_commit_run_what_make_check_runs():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]  # nothing is fetched
    hooks = config["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == recipe("lint") + recipe("types")
    assert all(hook["language"] == "system" and hook["pass_filenames"] is False for hook in hooks)
    assert re.search(r"^check: lint types test$", MAKEFILE, flags=re.M)


def test_pre_commit_takes_the_configuration():
    pytest.importorskip("pre_commit")
    config = ROOT / ".pre-commit-config.yaml"
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config", config], check=True)


def test_continuous_integration_runs_every_part_of_make_check():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    run = {word for line in re.findall(r"^make (.+)$", script, flags=re.M) for word in line.split()}
    assert {"lint", "types", "test"} <= run or "check" in run


def test_every_target_is_known_to_make():
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, flags=re.M)
    for target in phony.split():
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_every_tool_has_an_exact_version():
    """All requirements in pyproject.toml, also of extras and groups, have a line in constraints.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*project["project"]["dependencies"]]
    for group in (
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ):
        asked += [one for one in group if isinstance(one, str)]
    names = {re.split(r"[\[<>=;! ]", one)[0].lower().replace("_", "-") for one in asked}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(names) > 30 and not names - {line.split("==")[0] for line in lines}
