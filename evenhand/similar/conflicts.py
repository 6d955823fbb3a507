"""Near-identical content that was decided differently under the same area and policy version.

Texts are brought to their normal form; what is then equal belongs together. Near copies are found by MinHash over character
n-grams with banding (Broder 1997; Leskovec, Rajaraman and Ullman, ch. 3) and each candidate pair is checked by its exact
Jaccard similarity. Groups are the connected parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenhand.similar.normal_form import squashed
from evenhand.workspace.files import atomic_path
from evenhand.workspace.lake import scan_decisions
from evenhand.workspace.progress import Progress
from evenhand.workspace.workspace import Workspace

Ints = NDArray[np.int64]
SIMILAR = 0.6  # Jaccard similarity of n-grams from which two texts count as copies; chosen by benchmarks/conflicts.py
_BANDS, _ROWS = 24, 3  # a pair at 0.6 becomes a candidate with probability 1 - (1 - 0.6^3)^24 = 0.997
_SEED = 1
_BATCH = 20_000
_PAIRS = 500_000  # pairs whose MinHashes are compared at once
_NEIGHBOURS = 4  # of a bucket's members, how many earlier ones each is compared with
_SHORT = 8  # characters of the normal form below which only equal forms belong together

#: Columns of the conflicts table: one row a decision in a group with more than one label.
COLUMNS = (
    "conflict_id", "case_id", "area", "policy_version", "label", "majority_label", "deviates", "group_size",
    "share_of_majority", "moderator_id", "market", "language", "decided_at", "decision_id", "across", "within_one",
)  # fmt: skip
#: What a conflict can lie between, and what one of them is called.
ACROSS = {"moderators": "moderator", "days": "day", "markets": "market"}
_VALUE = {
    "moderators": pl.col("moderator_id"),
    "days": pl.col("decided_at").dt.date(),
    "markets": pl.col("market"),
}


@dataclass(frozen=True)
class _Forest:
    """Groups by union and find."""

    parent: Ints

    def root(self, i: int) -> int:
        """The group's first member."""
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = int(self.parent[i])
        return i

    def join(self, i: int, j: int) -> None:
        """Put two members into one group."""
        a, b = self.root(i), self.root(j)
        self.parent[max(a, b)] = min(a, b)


def n_grams(form: str) -> set[str]:
    """Character n-grams of a squashed form: of 2 in Han and kana, of 3 elsewhere; a shorter form is its own."""
    n = 2 if any("\u3040" <= c <= "\u9fff" for c in form) else 3
    return {form[i : i + n] for i in range(len(form) - n + 1)} or {form}


def group_texts(texts: Sequence[str], *, similar: float = SIMILAR) -> Ints:
    """Group of each text, shape (n,): an index in [0, n), equal for copies and near copies."""
    from rensa import RMinHash

    forms = [squashed(text) or text for text in texts]
    first: dict[str, int] = {}
    for i, form in enumerate(forms):
        first.setdefault(form, i)
    distinct = [i for i, form in enumerate(forms) if first[form] == i and len(form) >= _SHORT]
    forest = _Forest(np.array([first[form] for form in forms], np.int64))
    bands, marks = [], []
    for start in range(0, len(distinct), _BATCH):
        grams = [list(n_grams(forms[i])) for i in distinct[start : start + _BATCH]]
        found = RMinHash.digest_matrix_from_token_sets(grams, _BANDS * _ROWS, _SEED).to_rows()
        digests = np.array(found, np.uint64)
        bands.append(_bands(digests))
        marks.append(digests.astype(np.uint8))
    if bands:
        _join_near(forest, forms, np.array(distinct), np.concatenate(bands), np.concatenate(marks), similar)
    return np.array([forest.root(i) for i in range(len(texts))], np.int64)


def _bands(digests: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One hash a band, shape (n, _BANDS)."""
    mixed = digests.reshape(len(digests), _BANDS, _ROWS) * np.array(
        [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64
    )
    return np.asarray(np.bitwise_xor.reduce(mixed ^ (mixed >> np.uint64(29)), axis=2))


def _join_near(
    forest: _Forest,
    forms: Sequence[str],
    places: Ints,
    bands: NDArray[np.uint64],
    marks: NDArray[np.uint8],
    similar: float,
) -> None:
    """Join what shares a band and is similar indeed; a band's members are compared with the few before them.

    `marks`: the last 8 bits of each MinHash, shape (n, 72). A pair is looked at if more of them agree than all but 1 in 10,000
    pairs would have that are just `similar`; this spares the exact comparison of pairs that share a band by chance.
    """
    n = marks.shape[1]
    least = n * similar - 3.7 * math.sqrt(n * similar * (1 - similar))
    for band in range(_BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        hashes = bands[order, band]
        for step in range(1, _NEIGHBOURS + 1):
            same = np.flatnonzero(hashes[step:] == hashes[:-step])
            for start in range(0, len(same), _PAIRS):
                some = same[start : start + _PAIRS]
                first, second = order[some], order[some + step]
                likely = (marks[first] == marks[second]).sum(1) >= least
                for a, b in zip(places[first[likely]], places[second[likely]], strict=True):
                    i, j = int(a), int(b)
                    if forest.root(i) != forest.root(j) and _jaccard(forms[i], forms[j]) >= similar:
                        forest.join(i, j)


def _jaccard(a: str, b: str) -> float:
    x, y = n_grams(a), n_grams(b)
    both = len(x & y)
    return both / (len(x) + len(y) - both)


def conflicts(decisions: pl.DataFrame, *, similar: float = SIMILAR) -> pl.DataFrame:
    """Decisions on near-identical content that differ, COLUMNS, the groups with most deviating decisions first.

    `decisions` has decision_id, case_id, text, area, policy_version, label, moderator_id, market, language, decided_at. A
    group's majority label is the one given most often; on a tie no decision deviates and `majority_label` is null. `across` says
    what the group's different labels lie between, of ACROSS, separated by "; " (days are those of UTC); `within_one` which single
    moderator, day or market decided both ways.
    """
    parts = []
    with Progress("compare", decisions.height, unit="decisions") as progress:
        for _, part in decisions.group_by("area", "policy_version", maintain_order=True):
            group = group_texts(part["text"].to_list(), similar=similar)
            parts.append(part.with_columns(part["decision_id"].gather(group).alias("conflict_id")))
            progress.step(part.height)
    if not parts:
        return decisions.with_columns(conflict_id=pl.lit("")).head(0).pipe(_judged).select(COLUMNS)
    rows = pl.concat(parts)
    key = ["conflict_id", "area", "policy_version"]
    split = rows.group_by(key).agg(pl.col("label").n_unique().alias("labels")).filter(pl.col("labels") > 1)
    return _judged(rows.join(split.drop("labels"), on=key, how="semi")).select(COLUMNS)


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """Majority, deviation and size of each group."""
    key = ["conflict_id", "area", "policy_version"]
    counts = rows.group_by([*key, "label"]).len("n").sort("n", "label", descending=[True, False])
    best = counts.group_by(key, maintain_order=True).agg(
        pl.col("label").first().alias("majority_label"),
        pl.col("n").sum().alias("group_size"),
        pl.col("n").first().alias("most"),
        (pl.col("n") == pl.col("n").max()).sum().alias("firsts"),
    )
    best = best.with_columns(
        pl.when(pl.col("firsts") == 1).then("majority_label").alias("majority_label"),
        (pl.col("most") / pl.col("group_size")).alias("share_of_majority"),
    )
    joined = rows.join(best, on=key).with_columns(
        (pl.col("label") != pl.col("majority_label")).fill_null(False).alias("deviates")
    )
    weight = pl.col("deviates").sum().over(key)
    order = [weight, pl.col("conflict_id"), pl.col("deviates"), pl.col("decision_id")]
    return joined.join(_between(rows), on=key).sort(order, descending=[True, False, True, False])


def _between(rows: pl.DataFrame) -> pl.DataFrame:
    """`across` and `within_one` of each group.

    Where a group has two labels and two markets, some two of its decisions differ in both, so that counting is enough.
    """
    key = ["conflict_id", "area", "policy_version"]
    parts = []
    for name, one in ACROSS.items():
        by_value = rows.group_by(*key, _VALUE[name].alias("value")).agg(pl.col("label").n_unique())
        parts.append(
            by_value.group_by(key).agg(
                pl.when(pl.len() > 1).then(pl.lit(name)).alias("across"),
                pl.when(pl.col("label").max() > 1).then(pl.lit(one)).alias("within_one"),
            )
        )
    said = [pl.col(name).drop_nulls().str.join("; ") for name in ("across", "within_one")]
    return pl.concat(parts).group_by(key, maintain_order=True).agg(said)


def lies(*, across: Sequence[str] = (), within_one: Sequence[str] = ()) -> list[pl.Expr]:
    """Filters for the conflicts across all of `across` (keys of ACROSS) and within one of each of `within_one` (its values)."""
    wanted = [("across", name) for name in across] + [("within_one", name) for name in within_one]
    return [pl.col(column).str.split("; ").list.contains(name) for column, name in wanted]


def publish_conflicts(ws: Workspace) -> pl.DataFrame:
    """Conflicts among all decisions of the lake, kept for the app in the workspace's conflicts_file; see `conflicts`."""
    columns = ("decision_id", "case_id", "text", "area", "policy_version", "label", "moderator_id", "market",
               "language", "decided_at")  # fmt: skip
    decisions = scan_decisions(ws).select(columns).sort("decision_id").collect()
    found = conflicts(decisions)
    with atomic_path(ws.conflicts_file) as part:
        texts = decisions.select("decision_id", "text")
        found.join(texts, on="decision_id", how="left", maintain_order="left").write_parquet(part)
    return found
