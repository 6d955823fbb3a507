"""Champion and challenger on the same decisions: those with rulings that neither has learned from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evenhand import __version__
from evenhand.errors import ModelError
from evenhand.gold import gold
from evenhand.similar.groups import groups, unseen
from evenhand.store import Store
from evenhand.workspace.files import write_text
from evenhand.workspace.lake import decision_files
from evenhand.workspace.progress import Progress
from evenhand.workspace.workspace import Workspace
from models.compare.paired_slices import ENOUGH, ENOUGH_EACH, MARGIN, Difference, Slice, Verdict, compare_rows
from models.known_cases import load_known_cases
from models.registry import Registry

_SEED = 20261125  # the same rulings give the same intervals
_BATCH = 512  # decisions judged between two steps of the progress bar


class Incomparable(ModelError):
    """Two versions have no ruling in common that is new to both, or it is not known which those are."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Challenger minus champion on the decisions with rulings that neither has learned from.

    `slices`: overall, then by language, area and policy version; drawn rulings count with 1 / inclusion
    probability. `unweighted`: overall with every ruling counted once; None where none was drawn.
    """

    challenger: str  # "evenhand-3"
    champion: str
    made_at: str  # ISO, UTC
    n: int
    overturned: int
    drawn: int
    slices: tuple[Slice, ...]
    unweighted: Slice | None
    notes: tuple[str, ...]

    @property
    def overall(self) -> Slice:
        """All decisions together."""
        return self.slices[0]

    @property
    def verdict(self) -> str:
        """What came out, in one sentence without a full stop."""
        return self.told({})

    @property
    def losses(self) -> tuple[str, ...]:
        """Where the challenger is worse beyond its interval: overall, in its probabilities, in a language.

        Where there is none, it may go live.
        """
        return self.lost({})

    def told(self, names: Mapping[str, str]) -> str:
        """As `verdict`, with languages by `names` where they are in it."""
        ranks = {verdict: [s for s in self._languages() if s.verdict == verdict] for verdict in _ORDER}
        counted = [f"{verdict} in {len(found)}" for verdict, found in ranks.items()]
        counted[0] += " language" if len(ranks["better"]) == 1 else " languages"
        if ranks["worse"]:
            which = "; ".join(_named(s, names) for s in ranks["worse"])
            counted[_ORDER.index("worse")] += f" ({which})"
        said = [f"overall {self.overall.verdict}{_ap(self.overall)}", ", ".join(counted)]
        if self.overall.metrics:
            brier = self.overall.metrics["brier"].told(3)
            said.append(f"probabilities {self.overall.probabilities} (Brier {brier})")
        return "; ".join(said)

    def lost(self, names: Mapping[str, str]) -> tuple[str, ...]:
        """As `losses`, with languages by `names` where they are in it."""
        found = [f"overall{_ap(self.overall)}"] if self.overall.verdict == "worse" else []
        if self.overall.probabilities == "worse":
            found.append(f"its probabilities (Brier {self.overall.metrics['brier'].told(3)})")
        return (*found, *(_named(s, names) for s in self._languages() if s.verdict == "worse"))

    def _languages(self) -> list[Slice]:
        return [s for s in self.slices if s.by == "language"]


_ORDER: tuple[Verdict, ...] = ("better", "level", "worse", "too few")


def _ap(found: Slice) -> str:
    if not found.metrics:
        return f" ({found.n} rulings, {found.overturned} overturned)"
    return f" (AP {found.metrics['ap'].told()})"


def _named(found: Slice, names: Mapping[str, str]) -> str:
    return f"{names.get(found.name, found.name)}: AP {found.metrics['ap'].told()}"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What is known of a version beside the champion: a comparison, or `why` there is none."""

    comparison: Comparison | None
    why: str = ""

    @property
    def said(self) -> str:
        """The verdict, or why there is none."""
        return self.comparison.verdict if self.comparison else self.why

    @property
    def losses(self) -> tuple[str, ...]:
        """As those of the comparison; none without one."""
        return self.comparison.losses if self.comparison else ()


def check(ws: Workspace, store: Store, registry: Registry, challenger: str, champion: str) -> Checked:
    """The comparison of two versions (numbers, names or aliases); kept until a ruling or decision is new.

    Judging takes a while: every text is read by both. ModelError or OutsideError if one of the two cannot be
    loaded.
    """
    names = registry.name(challenger), registry.name(champion)
    found = kept(ws, store, *names)
    if found is None:
        mark = _mark(ws, store)
        try:
            found = Checked(comparison=_compare(ws, store, registry, *names))
        except Incomparable as problem:
            found = Checked(comparison=None, why=str(problem))
        write_text(
            _file(ws, *names), json.dumps({"mark": mark, **asdict(found)}, ensure_ascii=False, indent=1)
        )
    return found


def kept(ws: Workspace, store: Store, challenger: str, champion: str) -> Checked | None:
    """The kept comparison of two versions by name ("evenhand-3").

    It is None if there is none on the present rulings.
    """
    file = _file(ws, challenger, champion)
    if not file.exists():
        return None
    raw = json.loads(file.read_text(encoding="utf-8"))
    if raw["mark"] != _mark(ws, store):
        return None
    return Checked(comparison=raw["comparison"] and _comparison(raw["comparison"]), why=raw["why"])


def _file(ws: Workspace, challenger: str, champion: str) -> Path:
    return ws.registry_dir / "comparisons" / f"{challenger}-against-{champion}.json"


def _mark(ws: Workspace, store: Store) -> str:
    """Fingerprint of what a comparison rests on.

    That is code version, rulings and draws (append-only), decision files.
    """
    files = [(file.name, file.stat().st_size) for file in decision_files(ws)]
    known = repr((__version__, store.ruling_count(), len(store.draws()), files))
    return hashlib.blake2b(known.encode(), digest_size=8).hexdigest()


def _comparison(raw: Mapping[str, Any]) -> Comparison:
    given = {
        **raw,
        "slices": tuple(_slice(part) for part in raw["slices"]),
        "unweighted": raw["unweighted"] and _slice(raw["unweighted"]),
        "notes": tuple(raw["notes"]),
    }
    return Comparison(**given)


def _slice(raw: Mapping[str, Any]) -> Slice:
    metrics = {name: Difference(**values) for name, values in raw["metrics"].items()}
    return Slice(**{**raw, "metrics": metrics})


def _compare(ws: Workspace, store: Store, registry: Registry, challenger: str, champion: str) -> Comparison:
    rows = _common(gold(ws, store), registry, (challenger, champion))
    rows, notes = _covered(rows, registry, challenger, champion)
    judged = _judged(rows, registry, (challenger, champion))
    rows = rows.with_columns(
        pl.col("overturned").alias("wrong"),
        pl.Series("p_challenger", judged[challenger]),
        pl.Series("p_champion", judged[champion]),
    )
    drawn = int(rows["draw_id"].is_not_null().sum())
    slices = compare_rows(rows, rng=np.random.default_rng(_SEED))
    once = compare_rows(
        rows.with_columns(pl.lit(1.0).alias("weight")), by=(), rng=np.random.default_rng(_SEED)
    )
    return Comparison(
        challenger=challenger,
        champion=champion,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        n=rows.height,
        overturned=int(rows["wrong"].sum()),
        drawn=drawn,
        slices=slices,
        unweighted=once[0] if drawn else None,
        notes=(*notes, _weights_note(drawn, rows.height), *_doubts(slices)),
    )


def _common(rows: pl.DataFrame, registry: Registry, names: tuple[str, str]) -> pl.DataFrame:
    """The gold that neither version has learned from, with its `group`."""
    texts, named = rows["text"].to_list(), rows["conversation_id"].to_list()
    group = groups(texts, named)
    keep = np.ones(rows.height, bool)
    for name in names:
        known = load_known_cases(registry.folder(name))
        if known is None:
            raise Incomparable(
                f"{name} was trained before versions kept which rulings they learned from, so nobody can say what is new to"
                " it; `evenhand train` makes a version that can be compared"
            )
        keep &= unseen(texts, named, group, known)
    if not keep.any():
        raise Incomparable(
            f"{names[0]} or {names[1]} has learned from every ruling there is; rule on new decisions, and compare before the"
            " next `evenhand train`"
        )
    return rows.with_columns(pl.Series("group", group)).filter(pl.Series(keep))


def _covered(
    rows: pl.DataFrame, registry: Registry, challenger: str, champion: str
) -> tuple[pl.DataFrame, list[str]]:
    """The rows that both versions may judge, and what is to be said of the others."""
    key = pl.concat_str("policy_version", "area", separator="/")
    covers = {
        name: key.is_in(list(registry.details(name)["manifest"]["heads"])) for name in (challenger, champion)
    }
    notes = []
    for by, other in ((challenger, champion), (champion, challenger)):
        alone = rows.filter(covers[by] & ~covers[other])
        for version, n in alone.group_by("policy_version").len().sort("policy_version").iter_rows():
            notes.append(f"{n} rulings under {version} are left out: only {by} covers them")
    both = rows.filter(covers[challenger] & covers[champion])
    if both.is_empty():
        raise Incomparable(
            f"{challenger} and {champion} cover no policy version in common among {rows.height} rulings new to both"
            + "".join(f"; {note}" for note in notes)
        )
    return both, notes


def _judged(rows: pl.DataFrame, registry: Registry, names: tuple[str, str]) -> dict[str, pl.Series]:
    """p_overturn of each row by each version, in row order; one version is held in memory at a time."""
    distinct = dict.fromkeys(names)  # a version beside itself is judged once
    by_text = rows.with_row_index("place").sort("text", "place")  # copies stand together and are encoded once
    found = {}
    with Progress("compare", rows.height * len(distinct), unit="decisions") as progress:
        for name in distinct:
            bundle, parts = registry.load(name), []
            for part in by_text.iter_slices(_BATCH):
                parts.append(bundle.judge(part)["p_overturn"])
                progress.step(part.height)
            judged = by_text.select("place").with_columns(pl.concat(parts).alias("p"))
            found[name] = judged.sort("place")["p"]
    return found


def _weights_note(drawn: int, n: int) -> str:
    if not drawn:
        return "no ruling was drawn: this speaks for decisions like those that were ruled on"
    rest = n - drawn
    others = f"; the other {rest} count like an average one" if rest else ""
    return f"{drawn} of {n} rulings were drawn and count with 1 / inclusion probability{others}"


def _doubts(slices: Sequence[Slice]) -> list[str]:
    """What keeps the table from being read for more than it says."""
    notes = []
    if any(not part.metrics for part in slices):
        notes.append(
            f"without figures: fewer than {ENOUGH} decisions, or than {ENOUGH_EACH} overturned or upheld ones that are no"
            " near-duplicates of each other, weights counted"
        )
    if any(part.metrics and part.verdict == "too few" for part in slices):
        notes.append(
            f"too few with figures: a loss of more than {MARGIN:.2f} in average precision cannot be ruled out"
        )
    return [
        *notes,
        "by chance, 1 in 40 slices in which two versions are equally good shows the challenger as worse",
    ]
