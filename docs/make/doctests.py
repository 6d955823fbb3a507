"""An extension of griffe, which reads docstrings for the site: examples (`>>> ...`) become blocks of code."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import griffe


def fenced(text: str) -> str:
    """`text` with every paragraph that begins with `>>>` in a block of code."""
    parts = []
    for blank, lines in groupby(text.split("\n"), key=lambda line: not line.strip()):
        paragraph = list(lines)
        begin = next((i for i, line in enumerate(paragraph) if line.lstrip().startswith(">>> ")), None)
        if not blank and begin is not None:
            paragraph[begin:] = ["", "```pycon", *paragraph[begin:], "```"]
        parts += paragraph
    return "\n".join(parts)


class Doctests(griffe.Extension):
    """Fences the examples of every docstring."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object once it was read."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
