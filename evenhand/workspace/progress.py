"""Shows the progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm


class Progress:
    """Counts `total` steps of `what`; use as a context manager and call `step`.

    On a terminal a tqdm bar; elsewhere one line about every `every` seconds, on standard error.
    """

    def __init__(self, what: str, total: int, *, unit: str = "it", every: float = 15.0) -> None:
        self._what, self._total, self._unit, self._every = what, total, unit, every
        self._done, self._start = 0, time.monotonic()
        self._said, self._told = self._start, 0
        self._bar = tqdm(total=total, desc=what, unit=unit) if sys.stderr.isatty() else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and self._done > self._told:
            self._say()

    def step(self, n: int = 1, note: str = "") -> None:
        """Count `n` more; `note` is shown beside the count."""
        self._done += n
        if self._bar is not None:
            self._bar.update(n)
            if note:
                self._bar.set_postfix_str(note)
        elif time.monotonic() - self._said >= self._every:
            self._say(note)

    def _say(self, note: str = "") -> None:
        self._said, self._told = time.monotonic(), self._done
        took = self._said - self._start
        rate = self._done / took if took > 0 else 0.0
        counted = f"{self._done:,}/{self._total:,} {self._unit} in {took:.0f} s ({rate:,.0f}/s)"
        sys.stderr.write(f"{self._what}: {counted} {note}".rstrip() + "\n")
