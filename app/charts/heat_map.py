"""A table of rates for two splits, such as market by area.

Fill, frame and words show whether a cell is measured, modelled or not known yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from evenhand.rates.measure import Rates
from evenhand.rates.table import EstimateTable
from evenhand.statistics.estimator import Estimate
from evenhand.wording.rates import Titles, domain_name
from evenhand.wording.words import spoken

KEY = (
    '<div class="eh-key"><span><i class="eh-swatch eh-measured" style="--heat:.6"></i>measured: rate, 95% interval, reviews (n)</span>'
    '<span><i class="eh-swatch eh-modelled"></i>≈ modelled from similar cells, no measurement</span>'
    '<span><i class="eh-swatch eh-unknown"></i>? not known yet, with the reviews it would take</span></div>'
)


def heat_map(table: EstimateTable, outcome: str, *, row: str, column: str, title: str, titles: Titles) -> str:
    """HTML of the table of `row` by `column`, sorted by name: modelled cells have no rank."""
    cells = {(rates.domain[row], rates.domain[column]): rates for rates in table.domains}
    known = [getattr(rates, outcome) for rates in cells.values()]
    top = max((e.rate for e in known if e.status == "measured"), default=0.0)
    rows, columns = (
        sorted((domain_name(split, name, titles), name) for name in {key[place] for key in cells})
        for place, split in enumerate((row, column))
    )
    head = "".join(f'<th scope="col" dir="auto">{escape(shown)}</th>' for shown, _ in columns)
    body = "".join(
        f'<tr><th scope="row" dir="auto">{escape(shown)}</th>'
        + "".join(_cell(cells.get((name, other)), outcome, top) for _, other in columns)
        + "</tr>"
        for shown, name in rows
    )
    return (
        f'{KEY}<div class="eh-heat"><table><caption>{escape(title)}, by {escape(spoken(row).lower())} and'
        f" {escape(spoken(column).lower())}</caption><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(rates: Rates | None, outcome: str, top: float) -> str:
    if rates is None:
        return '<td class="eh-none" aria-label="no decisions">–</td>'
    estimate: Estimate = getattr(rates, outcome)
    said = cell_words(estimate, rates.modelled if outcome == "total" else None)
    heat = f' style="--heat:{estimate.rate / top if top else 0:.2f}"' if said["kind"] == "measured" else ""
    return f'<td class="eh-{said["kind"]}"{heat}><b>{said["rate"]}</b><span>{said["range"]}</span><span>{said["seen"]}</span></td>'


def cell_words(estimate: Estimate, modelled: Estimate | None) -> Mapping[str, str]:
    """What a cell says: kind (measured, modelled or unknown), rate, range, seen."""
    seen = f"n {estimate.n_reviewed:,}"
    if estimate.status == "measured":
        return {"kind": "measured", "rate": f"{estimate.rate:.1%}", "range": _range(estimate), "seen": seen}
    need = f"{seen}, needs\u00a0{estimate.reviews_needed:,}\u00a0more"  # a narrow cell breaks between these, not inside
    if modelled is not None:
        return {
            "kind": "modelled",
            "rate": f"≈ {modelled.rate:.1%}",
            "range": f"modelled {_range(modelled)}",
            "seen": need,
        }
    return {"kind": "unknown", "rate": "?", "range": "not known yet", "seen": need}


def _range(estimate: Estimate) -> str:
    if estimate.method == "census":
        return "all reviewed"
    return f"{estimate.low:.1%}\u00a0to\u00a0{estimate.high:.1%}"
