"""Writing files so that a reader sees a whole file or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evenhand.errors import OutsideError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` that becomes `target` when the block ends well.

    A failed or killed block leaves `target` as it was. OutsideError if the disk refuses.

    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "a" / "b.txt"
    >>> with atomic_path(target) as part:
    ...     _ = part.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    part: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
        part = Path(name)
        yield part
        part.replace(target)
    except OSError as problem:
        raise OutsideError(
            f"{target}: cannot be written ({problem.strerror or problem});"
            " free space or fix the permissions, then run again"
        ) from problem
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 to `target`, whole or not at all."""
    with atomic_path(target) as part:
        part.write_text(text, encoding="utf-8")
