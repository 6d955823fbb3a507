"""Reads CSV, JSONL and Parquet files, gzipped or not, as chunks of text columns."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from evenhand.errors import ConfigError, IngestError
from evenhand.ingest.lines import MAX_ROW, Lines, LongLine, Shape, csv_rows, whole_lines

csv.field_size_limit(2 * MAX_ROW)
_Reader = Callable[[Path, Mapping[str, str], int], Iterator["Chunk"]]
_MAX_CHUNK = 32_000_000  # characters of the lines that one chunk is made of
_GZIP, _UTF16 = b"\x1f\x8b", (b"\xff\xfe", b"\xfe\xff")


@dataclass
class BadRow:
    """A row that failed: where it is, which column, its value and why.

    `row` is the line on which it begins, as an editor counts (in CSV the header is line 1); in Parquet it is
    the row number, from 1.
    """

    row: int
    column: str
    value: str
    reason: str
    raw: str


@dataclass
class Chunk:
    """Some rows as text: `frame` has `row` (as in BadRow) and the wanted columns; `bad` the unreadable.

    `names` are the file's own columns, as far as they were seen, by the file's names.
    """

    frame: pl.DataFrame
    bad: list[BadRow] = field(default_factory=list)
    names: Sequence[str] = ()


def read_rows(
    file: Path, wanted: Sequence[str], renamed: Mapping[str, str], size: int, *, prose: str
) -> Iterator[Chunk]:
    """Chunks of at most `size` rows of `file`, with those of the `wanted` columns that the file has.

    Of the wanted columns only `prose` may cover several lines of a CSV file. `renamed` maps our column to the
    file's. The name tells the kind: .csv and .jsonl/.ndjson, with or without .gz, and .parquet. IngestError
    if the file as a whole cannot be read, ConfigError if `renamed` maps a column that we do not have.
    """
    kind = "".join(file.suffixes[-2:] if file.suffix == ".gz" else file.suffixes[-1:]).removesuffix(".gz")
    readers: dict[str, _Reader] = {
        ".csv": partial(_csv, prose=prose),
        ".jsonl": _jsonl,
        ".ndjson": _jsonl,
        ".parquet": _parquet,
    }
    if kind not in readers:
        raise IngestError(f"{file}: kind {kind or 'unknown'!r}; bring .csv, .jsonl or .parquet (.gz is fine)")
    if not file.is_file():
        raise IngestError(f"{file}: no such file; check the path")
    source = _source(wanted, renamed)
    try:
        yield from readers[kind](file, source, size)
    except (
        OSError,
        EOFError,
        zlib.error,
        pa.ArrowException,
        csv.Error,
        ValueError,
        OverflowError,
    ) as problem:
        raise IngestError(f"{file}: cannot be read to its end ({problem}); export it again") from problem


def _source(wanted: Sequence[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """The file's column -> ours; ConfigError for a mapping that makes no sense."""
    if extra := sorted(set(renamed) - set(wanted)):
        raise ConfigError(
            f"evenhand.toml, [ingest]: {extra[0]!r} is no column of ours; write ours = theirs, ours being one of"
            f" {', '.join(wanted)}"
        )
    source = {
        renamed.get(name, name): name for name in wanted if name in renamed or name not in renamed.values()
    }
    if len(set(renamed.values())) < len(renamed):
        raise ConfigError(
            "evenhand.toml, [ingest]: two columns of ours are mapped to one of the file's; give each its own"
        )
    return source


@contextmanager
def _text(file: Path) -> Iterator[IO[str]]:
    """The file as text. Bytes that are not UTF-8 become lone surrogates, which mark the bad row."""
    with file.open("rb") as raw:
        head = raw.read(2)
        raw.seek(0)
        stream: Any = gzip.open(raw) if head == _GZIP else raw  # noqa: SIM115
        start = stream.read(2)
        stream.seek(0)
        encoding = "utf-16" if start in _UTF16 else "utf-8-sig"
        yield io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="")


def _broken(values: Sequence[str]) -> bool:
    """Whether some value holds a lone surrogate: bytes that were not UTF-8, or a broken escape."""
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return True
    return False


def printable(value: object, limit: int = 200) -> str:
    """`value` as text that any file can hold, cut at `limit` characters."""
    return str(value)[:limit].encode("utf-8", "backslashreplace").decode()


class _Builder:
    """Collects rows into chunks."""

    def __init__(self, columns: Sequence[str], names: Sequence[str] = ()) -> None:
        self.columns, self.names = list(columns), names
        self._clear()

    def _clear(self) -> None:
        self.numbers: list[int] = []
        self.rows: list[Sequence[str | None]] = []
        self.bad: list[BadRow] = []
        self.characters = 0

    def add(self, number: int, values: Sequence[str | None], raw: object) -> None:
        if _broken([value for value in values if value]):
            at = next(i for i, value in enumerate(values) if value and _broken([value]))
            name = self.columns[at]
            reason = f"{name} is not valid UTF-8, or holds a lone surrogate; export it as UTF-8"
            self.reject(number, name, values[at] or "", reason, raw)
        else:
            self.numbers.append(number)
            self.rows.append(values)

    def reject(self, number: int, column: str, value: str, reason: str, raw: object) -> None:
        self.bad.append(BadRow(number, column, printable(value), reason, printable(raw, 2_000_000)))

    def full(self, size: int, characters: int) -> bool:
        """Whether the chunk must end after a row of so many characters."""
        self.characters += characters
        return len(self.rows) + len(self.bad) >= size or self.characters >= _MAX_CHUNK

    def take(self) -> Chunk:
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(self.columns)
        data = {
            name: pl.Series(name, values, pl.String)
            for name, values in zip(self.columns, columns, strict=True)
        }
        frame = pl.DataFrame({"row": pl.Series("row", self.numbers, pl.Int64), **data})
        chunk = Chunk(frame, self.bad, self.names)
        self._clear()
        return chunk


def _csv(file: Path, source: Mapping[str, str], size: int, *, prose: str) -> Iterator[Chunk]:
    with _text(file) as stream:
        lines = Lines(file, stream)
        header = _header(file, lines)
        _check_header(file, header, source)
        places = [(header.index(name), ours) for name, ours in source.items() if name in header]
        builder = _Builder([ours for _, ours in places], header)
        shape = Shape(width=len(header), names=[place for place, ours in places if ours != prose])
        for row in csv_rows(lines, shape):
            if row.fault:
                builder.reject(row.number, "", row.raw, row.fault, row.raw)
            elif len(row.values) == len(header):
                builder.add(row.number, [row.values[place] for place, _ in places], row.values)
            elif row.values:
                reason = f"{len(row.values)} fields where the header has {len(header)}"
                builder.reject(row.number, "", "", reason, row.values)
            else:
                builder.reject(row.number, "", "", "empty line", "")
            if builder.full(size, lines.characters):
                yield builder.take()
        yield builder.take()


def _header(file: Path, lines: Lines) -> list[str]:
    """The names in the first row; IngestError if there is none."""
    try:
        header = next(csv.reader(lines, strict=True), None)
    except (csv.Error, LongLine) as problem:
        said = problem if isinstance(problem, csv.Error) else "it is too long"
        raise IngestError(
            f"{file}: the first line names no columns ({said}); write their names there, with commas between"
        ) from problem
    if header is None:
        raise IngestError(f"{file}: is empty; the first line should name the columns")
    return [name.strip() for name in header]


def _check_header(file: Path, header: Sequence[str], source: Mapping[str, str]) -> None:
    """IngestError for a header with another separator, or one that names a wanted column twice."""
    for mark, spoken in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(header) == 1 and mark in header[0]:
            raise IngestError(f"{file}: its columns are separated by {spoken}; export it with commas")
    if twice := [name for name in source if header.count(name) > 1]:
        raise IngestError(f"{file}: column {twice[0]!r} stands there twice; rename one of the two")


def _jsonl(file: Path, source: Mapping[str, str], size: int) -> Iterator[Chunk]:
    seen: dict[str, None] = {}
    builder = _Builder(list(source.values()))
    with _text(file) as stream:
        lines = Lines(file, stream)
        for line, fault in whole_lines(lines):
            if lines.number == 1 and line.lstrip().startswith("["):
                raise IngestError(f"{file}: is one JSON array; write one object a line, without the brackets")
            raw, fault = (None, fault) if fault else _object(line)
            if raw is None:
                builder.reject(lines.number, "", "", fault, line)
            else:
                seen.update(dict.fromkeys(raw))
                builder.add(lines.number, [_plain(raw.get(name)) for name in source], line)
            if builder.full(size, len(line)):
                yield _present(builder.take(), source, seen)
        if not lines.number:
            raise IngestError(f"{file}: is empty; write one JSON object a line")
        yield _present(builder.take(), source, seen)


def _object(line: str) -> tuple[dict[str, Any] | None, str]:
    """The JSON object in a line, or None with the reason."""
    if not line.strip():
        return None, "empty line"
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as problem:
        return None, f"not JSON: {printable(getattr(problem, 'msg', problem))}"
    return (raw, "") if isinstance(raw, dict) else (None, "not a JSON object")


def _present(chunk: Chunk, source: Mapping[str, str], seen: Mapping[str, None]) -> Chunk:
    """Drop columns that no line so far has named."""
    frame = chunk.frame.drop([ours for name, ours in source.items() if name not in seen])
    return Chunk(frame, chunk.bad, list(seen))


def _plain(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _parquet(file: Path, source: Mapping[str, str], size: int) -> Iterator[Chunk]:
    with file.open("rb") as raw:
        if raw.read(2) == _GZIP:
            raise IngestError(f"{file}: is gzipped, and Parquet is compressed inside; unzip it first")
    with pq.ParquetFile(file) as table:
        names = table.schema_arrow.names
        columns = [name for name in source if name in names]
        number = 0
        for batch in table.iter_batches(batch_size=size, columns=columns):
            builder = _Builder([source[name] for name in columns], names)
            values = [_microseconds(batch.column(name)).to_pylist() for name in columns]
            for line in zip(*values, strict=True):
                number += 1
                builder.add(number, [_arrow(value) for value in line], line)
            yield builder.take()
        if not number:
            yield _Builder([source[name] for name in columns], names).take()


def _microseconds(column: pa.Array) -> pa.Array:
    """Times without nanoseconds, which Python's times cannot hold; other columns unchanged."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column


def _arrow(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value.isoformat() if isinstance(value, datetime) else _plain(value)
