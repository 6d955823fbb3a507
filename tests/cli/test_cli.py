"""Tests the command line: help for every command, exit codes, messages that say what to do."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_readme(name, capsys):
    assert main([name, "--help"]) == 0
    assert "Usage: evenhand" in capsys.readouterr().out
    assert re.search(rf"evenhand {name}\b", (ROOT / "README.md").read_text(encoding="utf-8"))


def test_no_workspace_says_how_to_make_one(tmp_path, capsys):
    assert main(["--workspace", str(tmp_path), "policy", "list"]) == 2
    assert "evenhand init" in capsys.readouterr().err


def test_init_makes_a_workspace_with_the_sample_policy(tmp_path, capsys):
    assert main(["init", str(tmp_path / "w")]) == 0
    assert main(["-w", str(tmp_path / "w"), "policy", "list"]) == 0
    out = capsys.readouterr().out
    assert "short-video/2026-01" in out and "short-video/2026-02" in out
    assert main(["init", str(tmp_path / "w")]) == 2
    assert "is a workspace already" in capsys.readouterr().err


def test_policy_diff_names_what_changed(tmp_path, capsys):
    main(["init", str(tmp_path / "w")])
    capsys.readouterr()
    assert (
        main(["-w", str(tmp_path / "w"), "policy", "diff", "short-video/2026-01", "short-video/2026-02"]) == 0
    )
    out = capsys.readouterr().out
    assert "clause_changed" in out and "label_added" in out


def test_an_unknown_option_exits_2():
    done = subprocess.run(
        [sys.executable, "-m", "cli", "score", "--nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "No such option" in done.stderr


def test_a_wrong_day_is_refused(tmp_path, capsys):
    main(["init", str(tmp_path / "w")])
    assert main(["-w", str(tmp_path / "w"), "score", "--since", "yesterday"]) == 2
    assert "write it like 2026-03-01" in capsys.readouterr().err


def test_a_newer_workspace_asks_for_an_upgrade(tmp_path, capsys):
    main(["init", str(tmp_path / "w")])
    (tmp_path / "w" / ".evenhand-workspace").write_text("99\n")
    assert main(["-w", str(tmp_path / "w"), "policy", "list"]) == 2
    assert "upgrade Evenhand" in capsys.readouterr().err


def test_an_unknown_setting_is_named(tmp_path, capsys):
    main(["init", str(tmp_path / "w")])
    config = tmp_path / "w" / "evenhand.toml"
    config.write_text(config.read_text() + "\n[modell]\nencoder = 'x'\n")
    assert main(["-w", str(tmp_path / "w"), "policy", "list"]) == 2
    assert "unknown key 'modell'" in capsys.readouterr().err
