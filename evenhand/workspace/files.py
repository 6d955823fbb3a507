"""Writes files so that a reader sees a whole file or none."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evenhand.errors import OutsideError, UserError

if TYPE_CHECKING:
    import polars as pl


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
_POLARS_SAYS = ("IO error", "transport error")


def refused_by_disk(problem: BaseException) -> bool:
    """Whether the operating system refused a write.

    That is an OSError, or the ComputeError that Polars makes of one.
    """
    if isinstance(problem, OSError):
        return True
    return type(problem).__name__ == "ComputeError" and any(words in str(problem) for words in _POLARS_SAYS)


def is_damaged_parquet(problem: BaseException) -> bool:
    """Whether Polars found a Parquet file that is cut or altered."""
    return type(problem).__name__ == "ComputeError" and "File out of specification" in str(problem)


def is_about_the_disk(problem: OSError) -> bool:
    """Whether space or permission is missing, so that the user can help.

    Other OSErrors are our own mistakes.
    """
    return problem.errno in _DISK


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
        part = target.parent / f".{target.name}.{secrets.token_hex(8)}.part"
        part.touch(exist_ok=False)  # the umask applies: people who share the folder may read the file
        yield part
        part.replace(target)
    except Exception as problem:
        if not refused_by_disk(problem):
            raise
        raise OutsideError(
            f"{target}: cannot be written ({getattr(problem, 'strerror', None) or problem});"
            " free space or fix the permissions, then run again"
        ) from problem
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 to `target`, whole or not at all."""
    with atomic_path(target) as part:
        part.write_text(text, encoding="utf-8")


def write_table(table: pl.DataFrame, target: Path) -> None:
    """Write a table to a .csv or .parquet file, whole or not at all; UserError for another kind."""
    if target.suffix not in (".csv", ".parquet"):
        raise UserError(f"{target}: tables are written as .csv or .parquet")
    with atomic_path(target) as part:
        if target.suffix == ".csv":
            table.write_csv(part)
        else:
            table.write_parquet(part)
