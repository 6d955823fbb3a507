"""The page of model versions: the champion, the challengers, and which version was live at what time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from app import session
from app.text import as_said, as_typed
from evenhand.records.people import User
from evenhand.wording.rates import domain_name, sentence
from evenhand.wording.words import capital, language

if TYPE_CHECKING:
    from models.compare.paired_slices import Slice
    from models.compare.versions import Checked, Comparison
    from models.registry import Registry, Version

SHOWN = {
    "ap": "Average precision",
    "lift_at_5": "Lift at 5%",
    "auroc": "AUROC",
    "ece": "Calibration error (ECE)",
}
#: The measures of a comparison: title and decimals.
COMPARED = {
    "ap": ("Average precision", 2),
    "lift_at_5": ("Lift at 5%", 1),
    "auroc": ("AUROC", 2),
    "brier": ("Brier", 3),
}
WIDTHS = {
    "By": 95,
    "Slice": 140,
    "Decisions": 80,
    "Overturned": 88,
    "Verdict": 75,
    "Average precision": 140,
    "Lift at 5%": 145,
    "AUROC": 140,
    "Brier": 165,
}
KINDS = {"overall": "Overall", "language": "Language", "area": "Area", "policy_version": "Policy version"}


def page() -> None:
    """Show the versions, one of them in detail, and the ledger."""
    user = session.me("models")
    # imports MLflow and torch, which takes seconds: the other pages should not wait for it
    from models.registry import Registry

    st.title("Models")
    registry = Registry(session.workspace())
    versions = registry.versions()
    if not versions:
        st.info("No model yet. Ingest rulings, then run `evenhand train`.")
        return
    st.dataframe(version_rows(versions), hide_index=True)
    chosen = st.selectbox("Version", versions, format_func=_title)
    checked = _beside_champion(registry, chosen, versions, user)
    _metrics(registry, chosen)
    _promote(registry, chosen, checked, user)
    _ledger()


def _title(version: Version) -> str:
    return f"{version.name} ({', '.join(version.aliases)})" if version.aliases else version.name


def version_rows(versions: list[Version]) -> pd.DataFrame:
    """One row per version, newest first."""
    return pd.DataFrame(
        [
            {
                "Version": row.name,
                "Now": ", ".join(row.aliases) or "-",
                "Policy versions": ", ".join(row.policy_versions),
                "Trained": f"{row.created_at:%Y-%m-%d %H:%M}",
                "Rulings": row.n_rulings,
                **{title: _round(row.metrics.get(name)) for name, title in SHOWN.items()},
            }
            for row in versions
        ]
    )


def _round(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _beside_champion(
    registry: Registry, chosen: Version, versions: list[Version], user: User
) -> Checked | None:
    """The comparison with the champion, verdict first; None if it has not been made yet."""
    from models import promotion
    from models.compare import versions as compare

    champion = next((row for row in versions if "champion" in row.aliases), None)
    if champion is None:
        return promotion.FIRST
    if champion.version == chosen.version:
        return None
    st.subheader(as_typed(f"Against the champion, {champion.name}"))
    checked = compare.kept(session.workspace(), session.store(), chosen.name, champion.name)
    if checked is None:
        st.info(
            "Not compared yet on the present rulings. Both will judge every decision with a ruling that neither has learned"
            " from; that takes a while."
        )
        st.button(
            "Compare now", key="compare", on_click=_compare, args=(user.user_id, registry, chosen, champion)
        )
        return None
    if checked.comparison is None:
        st.info(f"Cannot be compared: {as_said(checked.why)}.")
        return checked
    _comparison(checked.comparison)
    return checked


def _compare(drawn_for: str, registry: Registry, chosen: Version, champion: Version) -> None:
    from models.compare import versions as compare

    with session.telling():
        session.acting("models", drawn_for)
        with st.spinner("Both versions judge the decisions that neither has learned from"):
            compare.check(session.workspace(), session.store(), registry, chosen.version, champion.version)


def _languages(found: Comparison) -> dict[str, str]:
    """The languages of a comparison by name."""
    return {part.name: language(part.name) for part in found.slices if part.by == "language"}


def _comparison(found: Comparison) -> None:
    from models.compare.paired_slices import MARGIN

    verdict = found.told(_languages(found))
    say = st.warning if found.losses else st.success if found.overall.verdict == "better" else st.info
    say(f"**{as_typed(capital(verdict))}.**")
    widths = {name: st.column_config.Column(width=pixels) for name, pixels in WIDTHS.items()}
    st.dataframe(comparison_rows(found), hide_index=True, height="content", column_config=widths)
    st.caption(
        f"{as_typed(found.challenger)} less {as_typed(found.champion)}, with 95% intervals, on {found.n} decisions with rulings that neither has learned"
        " from. Above zero is better, but for Brier (the squared error of the probability). The verdict is by average precision:"
        f' "level" means not worse by {MARGIN:.2f} or more; "too few" says nothing. '
        + " ".join(as_said(sentence(note)) for note in found.notes)
    )


def comparison_rows(found: Comparison) -> pd.DataFrame:
    """One row per slice: counts, verdict, and each difference with its interval."""
    rows = [_compared("All decisions", found.overall)]
    if found.unweighted:
        rows.append(_compared("Each counted once", found.unweighted))
    for part in found.slices[1:]:
        rows.append(_compared(_slice_name(part), part))
    return pd.DataFrame(rows)


def _slice_name(part: Slice) -> str:
    return domain_name(part.by, part.name, session.titles())


def _compared(name: str, part: Slice) -> dict[str, Any]:
    differences = {
        title: part.metrics[metric].told(digits) if part.metrics else "-"
        for metric, (title, digits) in COMPARED.items()
    }
    return {
        "By": KINDS[part.by],
        "Slice": name,
        "Decisions": part.n,
        "Overturned": part.overturned,
        "Verdict": part.verdict.capitalize(),
        **differences,
    }


def _metrics(registry: Registry, chosen: Version) -> None:
    """Metrics by language and area, on the rulings that this version has not seen."""
    metrics = registry.details(chosen.version)["manifest"]["metrics"]
    st.subheader(as_typed(f"{chosen.name} on its own test part"))
    for place, name in zip(st.columns(2), ("language", "area"), strict=True):
        place.dataframe(slice_rows(metrics.get(name, {}), name), hide_index=True)
    st.caption(
        "Measured on the newest part of the rulings when it was trained, which training did not see;"
        " 95% intervals by bootstrap over groups."
    )


def slice_rows(metrics: dict[str, Any], what: str) -> pd.DataFrame:
    """One row per slice: n, error rate and each metric with its interval."""
    rows, titles = [], session.titles()
    for name, values in metrics.items():
        row: dict[str, Any] = {
            what.capitalize(): domain_name(what, name, titles),
            "Decisions": int(values["n"]),
        }
        rows.append({**row, **{title: _value(values, metric) for metric, title in SHOWN.items()}})
    return pd.DataFrame(rows)


def _value(values: dict[str, Any], metric: str) -> str:
    if values.get(metric) is None:
        return "too few" if metric not in values else "no errors"
    if metric in values.get("intervals", {}):
        low, high = values["intervals"][metric]
        return f"{values[metric]:.2f} ({low:.2f} to {high:.2f})"
    return f"{values[metric]:.2f}"


def _promote(registry: Registry, chosen: Version, checked: Checked | None, user: User) -> None:
    """Promote or roll back, with a reason that goes to the ledger. A worse version needs an extra tick."""
    from models import promotion

    champion, losses = "champion" in chosen.aliases, checked.losses if checked else ()
    with st.expander("Promote or roll back"):
        if not champion and checked is None:
            st.caption("Compare it with the champion first.")
        note = st.text_input("Why", key="promote_note", placeholder="goes into the ledger")
        sure = st.checkbox(
            as_typed(f"Yes, change the champion to {chosen.name}"), key="promote_sure", disabled=champion
        )
        anyway = False
        if checked and checked.comparison and losses:
            st.warning(
                as_typed(
                    f"{chosen.name} is worse than the champion: {'; '.join(checked.comparison.lost(_languages(checked.comparison)))}."
                )
            )
            anyway = st.checkbox("Promote it anyway; the ledger will say so", key="promote_anyway")
        promote, back = st.columns(2)
        ready = bool(note and sure and not champion and checked and (anyway or not losses))
        change = None
        if checked:
            known = (registry, session.store(), chosen.version, checked)
            change = partial(promotion.promote, *known, note=note, anyway=anyway)
        promote.button(
            as_typed(f"Promote {chosen.name}"),
            key="promote",
            disabled=not ready,
            type="primary",
            on_click=_write if change else None,
            args=(user.user_id, change),
        )
        back.button(
            "Roll back to the champion before",
            key="roll_back",
            disabled=not note,
            on_click=_write,
            args=(user.user_id, partial(promotion.roll_back, registry, session.store(), note=note)),
        )


def _write(drawn_for: str, write: Callable[..., object]) -> None:
    """Write the change in the name of the person here, if the page was drawn for the same person."""
    with session.telling():
        write(by=session.acting("models", drawn_for).user_id, at=datetime.now(UTC))


def _ledger() -> None:
    st.subheader("Which model was live")
    lines = session.store().live_models()
    if not lines:
        st.info("No model has been live yet. Promote one with `evenhand models promote challenger`.")
        return
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "From (UTC)": f"{line.since:%Y-%m-%d %H:%M}",
                    "Model": line.model_version,
                    "Policy version": line.policy_version,
                    "By": line.by,
                    "Why": line.note,
                }
                for line in reversed(lines)
            ]
        ),
        hide_index=True,
    )
