"""Chooses the writer for a kind of file."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from evenhand.errors import UserError
from evenhand.report.model import Report

#: Ending -> the module that writes it. The libraries of a module are in the extra "report", and are loaded
#: only when it is used.
WRITERS = {".xlsx": "write_xlsx", ".pptx": "write_pptx", ".html": "write_html", ".csv": "write_csv"}


def writer_for(target: Path) -> Callable[[Report, Path], None]:
    """The function that writes files like `target`.

    UserError for another ending, a folder, or if the extra is missing.
    """
    kind = target.suffix.lower()
    if kind not in WRITERS:
        raise UserError(
            f"{target}: a report is written as {', '.join(WRITERS)}; name a file with one of these endings"
        )
    if target.is_dir():
        raise UserError(f"{target}: is a folder; name a file")
    name = WRITERS[kind]
    try:
        module = importlib.import_module(f"evenhand.report.{name}")
    except ModuleNotFoundError as problem:
        if (problem.name or "").startswith("evenhand"):
            raise
        raise UserError(
            f'a report as {kind} needs {problem.name}; install it with `pip install -e ".[report]"`'
        ) from problem
    writer: Callable[[Report, Path], None] = getattr(module, name)
    return writer
