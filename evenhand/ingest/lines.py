"""Lines of bounded length, and the rows of a CSV file made of them: a broken line spoils no other line.

A line is what an editor counts as one: it ends with LF, CR LF or CR, also inside quotes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from evenhand.errors import IngestError

#: Characters of a line, and of a CSV row of several lines. A row holds one text of at most 100,000.
MAX_ROW = 2_000_000
_HEAD = 1_000  # characters kept of a longer line
# How often lines may be read again because of quotes that do not close: keeps a crafted file from taking
# quadratic time.
_AGAIN, _AGAIN_FREE = 10, 50 * MAX_ROW

TOO_LONG = f"the line has more than {MAX_ROW:,} characters; split it"
NOT_CLOSED = "a quoted field is not closed; quotes inside one are doubled"
AFTER_QUOTE = "a quoted field goes on after its closing quote; quotes inside one are doubled"
TWO_READINGS = "may be a row, or part of a quoted field that began on an earlier line or goes on; correct the quotes there"


class LongLine(Exception):  # noqa: N818 - no fault of the program: the reader asks for the next line
    """A line of more than MAX_ROW characters was skipped; it began with `head`."""

    def __init__(self, head: str) -> None:
        self.head = head


class Lines(Iterator[str]):
    """Counts the lines of `stream`, and can give back those after the first since `start`.

    The lines given back are then read as rows of their own. The iterator ends early if the lines since
    `start` would have more than MAX_ROW characters together; after `start` it continues.
    """

    def __init__(self, file: Path, stream: IO[str]) -> None:
        self.number = 0  # number of the line given last; the first is 1
        self.held: list[str] = []  # the lines given since `start`
        self.characters = 0  # of the lines held
        self.ended = False  # whether another line was asked for after the held ones and there was none
        self._file, self._stream = file, stream
        self._back: list[str] = []  # lines to read again, the next one last
        self._read_once = self._read_again = 0

    def start(self) -> None:
        """Begin a row at the next line."""
        self._read_once += self.characters
        self.held, self.characters, self.ended = [], 0, False

    def __next__(self) -> str:
        """The next line with its end. LongLine if it is too long and the first since `start`."""
        line = self._back.pop() if self._back else self._stream.readline(MAX_ROW + 1)
        size = self.characters + len(line)
        if not line or (size > MAX_ROW and self.held):
            if line:
                self._back.append(line)
            self.ended = True
            raise StopIteration
        self.number += 1
        if size > MAX_ROW:
            self._pass_over(line)
            raise LongLine(line[:_HEAD])
        self.held.append(line)
        self.characters = size
        return line

    def _pass_over(self, line: str) -> None:
        """Read the rest of the line that begins with `line`, the last one read from the stream."""
        while line and not line.endswith(("\n", "\r")):
            line = self._stream.readline(MAX_ROW + 1)
        if line.endswith("\r"):  # the limit may have separated it from its \n
            after = self._stream.readline(MAX_ROW + 1)
            if after and after != "\n":
                self._back.append(after)

    def give_back(self) -> None:
        """Read all lines since `start`, except the first, again.

        IngestError if lines are read again so often that the reading would take too long.
        """
        again = self.held[1:]
        self._read_again += self.characters - len(self.held[0])
        self.characters = len(self.held[0])
        if self._read_again > _AGAIN_FREE + _AGAIN * self._read_once:
            raise IngestError(
                f"{self._file}: too many quoted fields are not closed, up to line {self.number:,}; export it again with the"
                " quotes inside fields doubled"
            )
        self._back += reversed(again)
        self.number -= len(again)


def whole_lines(lines: Lines) -> Iterator[tuple[str, str]]:
    """Each line, and its fault: that it is empty, or too long.

    Of a line that is too long only the beginning is returned.
    """
    while True:
        lines.start()
        try:
            line = next(lines)
        except StopIteration:
            return
        except LongLine as long:
            yield long.head, TOO_LONG
        else:
            yield line, ""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The shape of a row: it has `width` fields.

    The fields at `names` hold ids, names, numbers and times, never prose.
    """

    width: int
    names: Sequence[int]

    def fits(self, line: str, fair: Sequence[str]) -> bool:
        """Whether `line` is a complete row by itself.

        It has all fields, the first name is filled, and its names look like those of the row `fair`.
        """
        if line.count(",") < self.width - 1:
            return False
        values = next(csv.reader([line]), [])
        if len(values) != self.width or not self.names:
            return False
        return bool(values[self.names[0]]) and all(_alike(values[i], fair[i]) for i in self.names)

    def may_be_cut(self, line: str, place: int, fair: Sequence[str]) -> bool:
        """Whether `line` has all fields if the one at `place` lost its closing quote.

        That field then holds all surplus commas.
        """
        fields = line.rstrip("\r\n").split(",")
        if len(fields) < self.width:
            return False
        after = [i for i in self.names if i > place]
        if place < self.width - 1 and not any(fields[i - self.width] for i in after):
            return False
        return all(_alike(fields[i - self.width], fair[i]) for i in after)


def _alike(name: str, other: str) -> bool:
    """Whether `name` can stand in the place of `other`.

    It has no outer spaces, is filled if `other` is, and begins with a digit if `other` does.
    """
    return name == name.strip() and (not other or name[:1].isdigit() == other[0].isdigit() and bool(name))


@dataclass(frozen=True)
class Row:
    """One row that begins at line `number`: its values, or its fault (`fault`) and its first line."""

    number: int
    values: list[str]
    fault: str = ""
    raw: str = ""


def csv_rows(lines: Lines, shape: Shape) -> Iterator[Row]:
    """The rows of a CSV file after its header, by RFC 4180.

    Every line is part of exactly one row: a good one or one with a fault. A line is at fault if a quoted
    field that begins on it does not close, closes in the middle of a field, gives the row a wrong number of
    fields, or gives it a name that spreads over several lines; or if the line has all fields itself. Reading
    then continues at the next line, so a row never takes the following rows with it.

    A row that reads well, but contains a line that is a complete row by itself, can be meant in two ways: an
    open quote and a stray one, or a text that quotes such a file (perhaps to plant a row). Then each of its
    lines is at fault, and nothing is guessed. Whether a line is a complete row is judged by comparing it with
    the last good row.
    """
    fair: list[str] = []
    reader = csv.reader(lines, strict=True)
    while True:
        lines.start()
        try:
            values = next(reader)
        except StopIteration:
            return
        except LongLine as long:
            yield Row(lines.number, [], TOO_LONG, long.head)
            continue
        except csv.Error:
            fault = NOT_CLOSED if lines.ended or len(lines.held) > 1 else AFTER_QUOTE
        else:
            held = lines.held
            number = lines.number - len(held) + 1
            fault = _fault(values, held, shape, fair or values) if len(held) > 1 else ""
            if not fault:
                if len(values) == shape.width:
                    fair = values
                yield Row(number, values)
                continue
            if fault == TWO_READINGS:
                yield from (Row(number + i, [], fault, line) for i, line in enumerate(held))
                continue
        lines.give_back()
        yield Row(lines.number, [], fault, lines.held[0])


def _fault(values: Sequence[str], held: Sequence[str], shape: Shape, fair: Sequence[str]) -> str:
    """What is wrong with a row made of the lines `held`; empty if nothing."""
    if len(values) != shape.width:
        return f"a quoted field runs on to later lines, with which it is {len(values)} fields where the header has {shape.width}"
    spread = [place for place, value in enumerate(values) if "\n" in value or "\r" in value]
    if set(spread) & set(shape.names):
        return NOT_CLOSED
    cut = shape.may_be_cut(held[0], spread[0], fair)
    # the last line of a fair row has all fields too if the text is the first field; but then its first
    # line has not
    if any(shape.fits(line, fair) for line in held[1:-1]) or (cut and shape.fits(held[-1], fair)):
        return TWO_READINGS
    return NOT_CLOSED if cut and spread[0] < shape.width - 1 else ""
