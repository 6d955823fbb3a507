"""Tests that a file appears whole or not at all, with the permissions of the umask."""

import os
import stat

import pytest

from evenhand.errors import OutsideError
from evenhand.workspace.files import atomic_path, write_text


def test_a_file_is_as_open_to_others_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "report.html", "figures")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "report.html").stat().st_mode) == 0o640


def test_what_fails_halfway_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with (
        pytest.raises(OutsideError, match="a.txt: cannot be written"),
        atomic_path(tmp_path / "a.txt") as part,
    ):
        part.write_text("new, but")
        raise OSError(28, "No space left on device")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"
