"""Making a draw: frame from lake and scores, design, Pareto sample, immutable record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from evenhand.errors import SampleError
from evenhand.files import atomic_path
from evenhand.lake import scan_decisions, scan_scores
from evenhand.policy import PolicyVersion
from evenhand.sampling import Floats, choose_phi, hashed_uniform, inclusion_probabilities, pareto_draw
from evenhand.store import DrawnItem, DrawRecord, Store
from evenhand.workspace import Workspace

#: Columns a frame can be filtered by and an error rate split by.
DOMAINS = (
    "market",
    "area",
    "language",
    "queue",
    "team",
    "content_type",
    "policy_version",
    "moderator_id",
    "label",
)
#: What else a frame keeps of a decision: when it was made, how often it was seen, and what it shares with others.
ABOUT = ("decided_at", "exposure", "text_hash", "conversation_id")
Explain = Callable[[pl.DataFrame], list[dict[str, Any]]]


def make_draw(
    ws: Workspace,
    store: Store,
    *,
    budget: int,
    kappa: float,
    seed: int,
    model: str,
    by: str,
    at: datetime,
    since: date | None = None,
    until: date | None = None,
    filters: Mapping[str, str] | None = None,
    explain: Explain | None = None,
) -> DrawRecord:
    """Draw `budget` of the scored decisions of a period that have no ruling yet.

    `model` names the scores ("evenhand-3"); days from `since` up to, not including, `until`; `filters` like {"market": "TH"}.
    `explain` turns the drawn decisions into explanation cards, same order. The same seed, frame and scores give the same
    items. Raises SampleError if the budget does not fit the frame, or nothing is scored.
    """
    settings = ws.config.draw
    filters = dict(filters or {})
    frame, excluded = scored_frame(ws, store, model, since=since, until=until, filters=filters)
    if budget < 1:
        raise SampleError(f"a draw of {budget}; ask for at least 1 case")
    p = frame["p_overturn"].to_numpy()
    if budget > len(p):
        raise SampleError(
            f"a draw of {budget:,} from a frame of {len(p):,} decisions; ask for fewer, or widen the period or filter"
        )
    cell = cell_codes(frame, settings.cells)
    floor, cell_floor = settings.floor, settings.cell_floor
    phi = choose_phi(p, budget, kappa=kappa, floor=floor, cell_floor=cell_floor, cell=cell)
    pi = inclusion_probabilities(p, budget, phi=phi, floor=floor, cell_floor=cell_floor, cell=cell)
    u = hashed_uniform(f"{seed}|{since}|{until}", frame["decision_id"].to_list())
    chosen = pareto_draw(pi, u)
    draw_id = _draw_id(at, seed, budget, model, filters)
    file = ws.draws_dir / f"{draw_id}.parquet"
    with atomic_path(file) as part:
        frame.with_columns(pl.Series("pi", pi)).drop("predicted_label", "reasons").write_parquet(part)
    draw = DrawRecord(
        draw_id=draw_id,
        created_at=at,
        created_by=by,
        seed=seed,
        budget=budget,
        kappa=kappa,
        phi=phi,
        floor=settings.floor,
        cell_floor=settings.cell_floor,
        cells=settings.cells,
        since=since,
        until=until,
        filters=filters,
        policy_versions=tuple(sorted(frame["policy_version"].unique())),
        model_version=model,
        frame_size=len(p),
        frame_file=file.relative_to(ws.root).as_posix(),
        frame_hash=hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest(),
        excluded_ruled=excluded,
        pi_min=float(pi.min()),
        w_max=float(budget / len(p) / pi.min()),
    )
    store.add_draw(draw, _items(ws, draw, frame, chosen, pi, explain))
    return draw


def cell_codes(frame: pl.DataFrame, cells: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A code for each row's crossing of the `cells` columns, shape (rows,)."""
    return frame.select(pl.struct(cells).rank("dense")).to_series().to_numpy().astype(np.int64)


def _draw_id(at: datetime, seed: int, budget: int, model: str, filters: Mapping[str, str]) -> str:
    key = f"{at.isoformat()}|{seed}|{budget}|{model}|{sorted(filters.items())}"
    return f"draw-{at:%Y%m%d-%H%M}-{hashlib.blake2b(key.encode(), digest_size=3).hexdigest()}"


def scored_frame(
    ws: Workspace,
    store: Store,
    model: str,
    *,
    since: date | None = None,
    until: date | None = None,
    filters: Mapping[str, str] | None = None,
) -> tuple[pl.DataFrame, int]:
    """Scored decisions without an earlier ruling, by decision id; and how many were left out for theirs.

    Columns decision_id, DOMAINS, ABOUT, p_overturn, predicted_label, reasons, may_over, may_under, may_wrong. Raises SampleError
    where nothing is scored, or everything ruled.
    """
    filters = filters or {}
    if unknown := sorted(set(filters) - set(DOMAINS)):
        raise SampleError(f"cannot filter by {unknown[0]!r}; use one of {', '.join(DOMAINS)}")
    decisions = scan_decisions(ws, since=since, until=until).select(
        "decision_id", "case_id", *DOMAINS, *ABOUT
    )
    scores = scan_scores(ws, model, since=since, until=until).select(
        "decision_id", "p_overturn", "predicted_label", "reasons"
    )
    for name, value in filters.items():
        decisions = decisions.filter(pl.col(name) == value)
    scored = decisions.join(scores, on="decision_id", how="inner", validate="1:1").collect()
    if scored.is_empty():
        raise SampleError(
            f"no decision scored by {model} in this period and filter; run `evenhand score` first"
        )
    rulings = store.rulings()
    with_moderator = rulings.filter(pl.col("decision_id").is_not_null()).select("decision_id")
    on_case = rulings.filter(pl.col("decision_id").is_null()).select("case_id", "area")
    frame = scored.join(with_moderator, on="decision_id", how="anti").join(
        on_case, on=["case_id", "area"], how="anti"
    )
    if frame.is_empty():
        raise SampleError("every decision in this period and filter has a ruling already; widen the period")
    flags = _error_flags(store.policies())
    frame = frame.join(flags, on=["policy_version", "area", "label"], how="left").drop("case_id")
    return frame.sort("decision_id"), scored.height - frame.height


def _error_flags(policies: Sequence[PolicyVersion]) -> pl.DataFrame:
    """Which error classes a decision with this label can fall into."""
    rows = [
        {
            "policy_version": policy.version,
            "area": area.name,
            "label": name,
            "may_over": i > 0,
            "may_under": i == 0,
            "may_wrong": i > 0 and len(area.labels) > 2,
        }
        for policy in policies
        for area in policy.areas
        for i, name in enumerate(area.label_names)
    ]
    return pl.DataFrame(rows)


def _items(
    ws: Workspace,
    draw: DrawRecord,
    frame: pl.DataFrame,
    chosen: np.ndarray[Any, np.dtype[np.int64]],
    pi: Floats,
    explain: Explain | None,
) -> list[DrawnItem]:
    """The drawn decisions in queue order, with a copy of their case and their explanation card."""
    picked = frame[chosen].select("decision_id", "p_overturn", "predicted_label", "reasons")
    cases = scan_decisions(ws, since=draw.since, until=draw.until).filter(
        pl.col("decision_id").is_in(picked["decision_id"].implode())
    )
    full = picked.join(cases.collect(), on="decision_id", how="left", validate="1:1", maintain_order="left")
    cards = explain(full) if explain else [{} for _ in range(full.height)]
    names = (
        "decision_id", "p_overturn", "case_id", "text", "language", "market", "queue", "area", "policy_version", "label",
        "moderator_id", "decided_at", "predicted_label", "team", "content_type", "reasons",
    )  # fmt: skip
    return [
        DrawnItem(
            draw_id=draw.draw_id,
            position=position,
            pi=float(pi[chosen[position]]),
            take_all=bool(pi[chosen[position]] >= 1),
            explanation=card,
            **{name: row[name] for name in names},
        )
        for position, (row, card) in enumerate(zip(full.iter_rows(named=True), cards, strict=True))
    ]
