"""The rules of `evenhand.records.decision`, for whole columns at once.

A property test checks that the two agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from evenhand.errors import IngestError
from evenhand.ingest.readers import BadRow, Chunk, printable
from evenhand.records.checks import FIRST_TIME, LAST_TIME, MAX_TEXT, NumberRule
from evenhand.records.policy import PolicyVersion

Check = tuple[str, pl.Expr, pl.Expr]  # column, true where the row is bad, reason (a text expression)

_TIME = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?"
_ZONE = r"([Zz]|[+-]\d{2}(:?\d{2})?)$"

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_PARTED = r"^[+-]?[0-9]+([.,'’ \u{a0}\u{202f}][0-9]+)*[,'’ \u{a0}\u{202f}][0-9]+(\.[0-9]+)?$"


def _lit(text: str) -> pl.Expr:
    return pl.lit(text)


def id_checks(columns: Sequence[str]) -> list[Check]:
    """Ids and names: not empty, no outer spaces, no NUL."""
    checks: list[Check] = []
    for name in columns:
        value = pl.col(name)
        checks += [
            (name, value.is_null() | (value == ""), _lit("is empty")),
            (name, value.str.contains(r"^\s|\s$"), _lit("has outer spaces")),
            (name, value.str.contains("\x00", literal=True), _lit("holds a NUL character")),
        ]
    return checks


def text_checks() -> list[Check]:
    """Texts may be empty or emoji-only, but hold no NUL and at most MAX_TEXT characters."""
    text = pl.col("text")
    return [
        ("text", text.str.contains("\x00", literal=True), _lit("holds a NUL character")),
        ("text", text.str.len_chars() > MAX_TEXT, _lit(f"has more than {MAX_TEXT:,} characters")),
    ]


def language_checks() -> list[Check]:
    """Language tags in the form of BCP 47."""
    fits = pl.col("language").str.contains(r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")
    return [("language", ~fits.fill_null(False), _lit("is no BCP 47 tag; use 'und' where it is unknown"))]


def parse_time(name: str) -> pl.Expr:
    """The time in column `name` as UTC; null if it is no time or has no zone."""
    value = (
        pl.col(name)
        .str.replace(r"[Zz]$", "+00:00")
        .str.replace(r"([+-]\d{2})(\d{2})$", "$1:$2")
        .str.replace(r"(:\d{2}|\d[.,]\d+)([+-]\d{2})$", "$1$2:00")
        .str.replace(r"^(\d{4}-\d{2}-\d{2}) ", "${1}T")
        .str.replace(r"^(.{16})([+-])", "$1:00$2")
        .str.replace(",", ".", literal=True)
    )
    return value.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False
    ).dt.convert_time_zone("UTC")


def time_checks(name: str) -> list[Check]:
    """A time with a zone."""
    value = pl.col(name).fill_null("")
    bare = value.str.contains(_TIME + "$")
    return [
        (name, value == "", _lit("is empty")),
        (name, bare, _lit("has no time zone; write it as UTC, like 2026-03-01T09:30:00Z")),
        (
            name,
            ~value.str.contains(_TIME + _ZONE) | parse_time(name).is_null(),
            _lit("is no time; write it like 2026-03-01T09:30:00Z"),
        ),
        (
            name,
            ~parse_time(name).is_between(FIRST_TIME, LAST_TIME, closed="left"),
            _lit(f"is not in the years {FIRST_TIME.year} to {LAST_TIME.year - 1}"),
        ),
    ]


def parse_number(name: str) -> pl.Expr:
    """The number in column `name`, without the spaces around it; null if it is no number."""
    value = pl.col(name).str.strip_chars()
    # the pattern rejects other things that a cast accepts: inf, nan, infinity
    number = pl.when(value.str.contains(_NUMBER)).then(value).cast(pl.Float64, strict=False)
    return pl.when(number == 0).then(0.0).otherwise(number)  # no -0.0


def number_checks(name: str, rule: NumberRule) -> list[Check]:
    """Empty, or a number that fits `rule`."""
    value = pl.col(name).str.strip_chars()
    fits = parse_number(name).is_between(rule.low, rule.high).fill_null(False)
    return [
        (
            name,
            value.str.contains(_PARTED),
            _lit("is written with a thousands separator or a decimal comma; write it like 1234.5"),
        ),
        (name, value.is_not_null() & (value != "") & ~fits, _lit(f"is no {rule}, in digits like 1234.5")),
    ]


def policy_checks(policies: Sequence[PolicyVersion]) -> list[Check]:
    """Known policy version, area of that version, label of that area."""
    versions = [policy.version for policy in policies]
    areas = [f"{policy.version}\x1f{area.name}" for policy in policies for area in policy.areas]
    labels = [
        f"{policy.version}\x1f{area.name}\x1f{name}"
        for policy in policies
        for area in policy.areas
        for name in area.label_names
    ]
    version = pl.col("policy_version").fill_null("")
    area = pl.concat_str([version, pl.col("area").fill_null("")], separator="\x1f")
    label = pl.concat_str([area, pl.col("label").fill_null("")], separator="\x1f")
    known = ", ".join(versions) or "none yet"
    areas_of = {p.version: ", ".join(area.name for area in p.areas) for p in policies}
    labels_of = {f"{p.version}\x1f{a.name}": ", ".join(a.label_names) for p in policies for a in p.areas}
    return [
        (
            "policy_version",
            ~version.is_in(versions),
            _lit(f"is unknown; known: {known}; add one with `evenhand policy add`"),
        ),
        (
            "area",
            ~area.is_in(areas),
            pl.format("is not in policy {}, which has {}", version, _looked_up(version, areas_of)),
        ),
        (
            "label",
            ~label.is_in(labels),
            pl.format(
                "is not in area {} of policy {}, which has {}",
                pl.col("area"),
                version,
                _looked_up(area, labels_of),
            ),
        ),
    ]


def _looked_up(key: pl.Expr, table: Mapping[str, str]) -> pl.Expr:
    return key.replace_strict(table, default="none", return_dtype=pl.String)


def split(frame: pl.DataFrame, checks: Sequence[Check]) -> tuple[pl.DataFrame, list[BadRow]]:
    """The rows that pass every check, in order; and the others, each with the first check it fails."""
    which = pl.coalesce(
        [pl.when(bad.fill_null(False)).then(pl.lit(i, pl.Int32)) for i, (_, bad, _) in enumerate(checks)]
    )
    reason = pl.coalesce(
        [
            pl.when(pl.col("_check") == i).then(pl.lit(f"{name} ") + why)
            for i, (name, _, why) in enumerate(checks)
        ]
    )
    marked = frame.with_columns(which.alias("_check"))
    good = marked.filter(pl.col("_check").is_null()).drop("_check")
    failed = marked.filter(pl.col("_check").is_not_null()).with_columns(reason.alias("_reason"))
    bad = []
    for row in failed.iter_rows(named=True):
        column, why, number = checks[row.pop("_check")][0], row.pop("_reason"), row.pop("row")
        bad.append(BadRow(number, column, printable(row[column]), why, printable(row, 2_000_000)))
    return good, bad


def complete(
    chunk: Chunk,
    policies: Sequence[PolicyVersion],
    file: Path,
    *,
    kind: str,
    renamed: Mapping[str, str],
    required: Sequence[str],
    optional: Sequence[str],
) -> pl.DataFrame:
    """The chunk's frame with all columns: a lone area is filled in, missing optional columns are null.

    IngestError if a required column is missing. `kind` is the section of evenhand.toml that maps names,
    `renamed` is that mapping.
    """
    frame = chunk.frame
    areas = {area.name for policy in policies for area in policy.areas}
    if "area" not in frame.columns and len(areas) == 1:
        frame = frame.with_columns(pl.lit(areas.pop()).alias("area"))
    missing = [name for name in required if name not in frame.columns]
    if missing and chunk.names:  # without names no line could be read, and each bad line says why
        said = [f"{name} (mapped to {renamed[name]!r})" if name in renamed else name for name in missing]
        raise IngestError(
            f"{file}: no column {', '.join(said)}; it has {_listed(chunk.names)}; map foreign names in evenhand.toml,"
            f' [ingest.{kind}] {missing[0]} = "your column"'
        )
    absent = [name for name in (*required, *optional) if name not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)


def _listed(names: Sequence[str], limit: int = 20) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return printable(", ".join(names[:limit]), 1_000) + more
