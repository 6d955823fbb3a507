"""Makes a draw: reads the frame from lake and scores, applies the design, samples, and stores the record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evenhand.batches.frame_file import FrameWriter, frame_hash
from evenhand.batches.id_numbers import id_numbers
from evenhand.batches.population import LeftOut, Population, codes, collected, population
from evenhand.errors import EvenhandError, SampleError
from evenhand.records.batches import DrawnItem, DrawRecord
from evenhand.statistics.arrays import Floats, Ints
from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw, uniform
from evenhand.store import Store
from evenhand.workspace.files import atomic_path
from evenhand.workspace.lake import scan_decisions, scan_scores
from evenhand.workspace.workspace import Workspace

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

    `model` names the scores ("evenhand-3"). The period is the days from `since` up to, not including,
    `until`; `filters` is like {"market": "TH"}. `explain` turns the drawn decisions into explanation cards,
    in the same order. The random numbers of a draw depend on `seed` and on its number among the draws of the
    workspace: the same draws in the same order give the same items, and no two draws share random numbers.
    Raises SampleError if the budget does not fit the frame, nothing is scored, or the draw exists already.
    """
    settings = ws.config.draw
    filters = dict(filters or {})
    if budget < 1:
        raise SampleError(f"a draw of {budget}; ask for at least 1 case")
    if since and until and since >= until:
        raise SampleError(
            f"the period from {since} up to, not including, {until} holds no day; give a later end"
        )
    found = population(ws, store, model, since=since, until=until, filters=filters)
    scored, left_out = _numbered(found, settings.cells, model)
    p, number = scored["p_overturn"].to_numpy(), scored["number"].to_numpy()
    if budget > len(p):
        raise SampleError(
            f"a draw of {budget:,} from a frame of {len(p):,} decisions; ask for fewer, or widen the period or filter"
        )
    floor, cell_floor = settings.floor, settings.cell_floor
    design = Design(
        p, budget, floor=floor, cell_floor=cell_floor, cell=codes(scored, settings.cells), tie=number
    )
    phi = design.phi(kappa)
    pi = design.probabilities(phi)
    draw_id = _draw_id(at, seed, budget, kappa, model, since, until, filters)
    before = store.draws()
    if any(draw.draw_id == draw_id for draw in before):
        raise SampleError(f"draw {draw_id} is there already; draws never change")
    place = len(before) + 1
    # numbers of its own: what an earlier draw took has small numbers under that draw's salt, and is gone from
    # this frame
    chosen = pareto_draw(pi, uniform(f"{seed}|draw {place}", number))
    file = ws.draws_dir / f"{draw_id}.parquet"
    with atomic_path(file) as part:
        drawn, versions, later = _keep(found, pi, chosen, part, at)
    draw = DrawRecord(
        draw_id=draw_id,
        number=place,
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
        policy_versions=versions,
        model_version=model,
        frame_size=len(p),
        frame_file=file.relative_to(ws.root).as_posix(),
        frame_hash=frame_hash(file),
        excluded_ruled=left_out.ruled,
        unscored=left_out.unscored,
        pi_min=float(pi.min()),
        w_max=float(budget / len(p) / pi.min()),
        dated_later=later,
    )
    try:
        store.add_draw(draw, _items(ws, draw, drawn, explain))
    except EvenhandError:
        file.unlink(missing_ok=True)
        raise
    return draw


def _numbered(found: Population, cells: Sequence[str], model: str) -> tuple[pl.DataFrame, LeftOut]:
    """The score, cell and numeric id of each decision, for a design; and what was left out."""
    columns = tuple(dict.fromkeys(("decision_id", "p_overturn", *cells)))
    numbered = (
        (
            part.with_columns(pl.Series("number", id_numbers(part["decision_id"]))).drop("decision_id"),
            left_out,
        )
        for part, left_out in found.shards(columns)
    )
    return collected(numbered, model)


def _keep(
    found: Population, pi: Floats, chosen: Ints, file: Path, at: datetime
) -> tuple[pl.DataFrame, tuple[str, ...], int]:
    """Write the frame with every probability to `file`.

    Returns the drawn decisions in queue order, the policy versions in the frame, and how many decisions are
    dated later than `at`.
    """
    begin, later, drawn, versions = 0, 0, [], set[str]()
    order = np.argsort(chosen)
    with FrameWriter(file) as writer:
        for part, _ in found.shards():
            rows = part.with_columns(pl.Series("pi", pi[begin : begin + part.height]))
            writer.write(rows)
            here = order[np.searchsorted(chosen[order], begin) :]
            here = here[: np.searchsorted(chosen[here], begin + part.height)]
            picked = rows[chosen[here] - begin].select("decision_id", "p_overturn", "pi")
            drawn.append(picked.with_columns(pl.Series("_place", here)))
            versions |= set(part["policy_version"].unique())
            later += int((part["decided_at"] > at).sum())
            begin += part.height
    if begin != len(pi):
        raise SampleError("the lake changed while the batch was drawn; draw again")
    return pl.concat(drawn).sort("_place").drop("_place"), tuple(sorted(versions)), later


def _draw_id(
    at: datetime,
    seed: int,
    budget: int,
    kappa: float,
    model: str,
    since: date | None,
    until: date | None,
    filters: Mapping[str, str],
) -> str:
    key = f"{at.isoformat()}|{seed}|{budget}|{kappa}|{model}|{since}|{until}|{sorted(filters.items())}"
    return f"draw-{at:%Y%m%d-%H%M}-{hashlib.blake2b(key.encode(), digest_size=3).hexdigest()}"


def _items(
    ws: Workspace,
    draw: DrawRecord,
    drawn: pl.DataFrame,
    explain: Explain | None,
) -> list[DrawnItem]:
    """The drawn decisions in queue order, with a copy of their case and their explanation card."""
    these = pl.col("decision_id").is_in(drawn["decision_id"].implode())
    said = scan_scores(ws, draw.model_version, since=draw.since, until=draw.until).filter(these)
    cases = scan_decisions(ws, since=draw.since, until=draw.until).filter(these)
    full = drawn
    for known in (said.select("decision_id", "predicted_label", "reasons"), cases):
        full = full.join(known.collect(), on="decision_id", how="left", validate="1:1", maintain_order="left")
    cards = explain(full) if explain else [{} for _ in range(full.height)]
    names = (
        "decision_id",
        "p_overturn",
        "case_id",
        "text",
        "language",
        "market",
        "queue",
        "area",
        "policy_version",
        "label",
        "moderator_id",
        "decided_at",
        "predicted_label",
        "team",
        "content_type",
        "reasons",
    )
    return [
        DrawnItem(
            draw_id=draw.draw_id,
            position=position,
            pi=row["pi"],
            take_all=row["pi"] >= 1,
            explanation=card,
            **{name: row[name] for name in names},
        )
        for position, (row, card) in enumerate(zip(full.iter_rows(named=True), cards, strict=True))
    ]
