"""Model versions by policy version: who is champion, how good in each language, who was live when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from app import case_card, session
from app.text import spoken
from evenhand.store import User

if TYPE_CHECKING:
    from models.registry import Registry, Version

SHOWN = {
    "ap": "Average precision",
    "lift_at_5": "Lift at 5%",
    "auroc": "AUROC",
    "ece": "Calibration error (ECE)",
}


def page() -> None:
    """Show the versions, one of them in detail, and the ledger."""
    from models.registry import (
        Registry,
    )  # brings MLflow and torch: seconds that the other pages should not wait

    user = session.me("models")
    st.title("Models")
    registry = Registry(session.workspace())
    versions = registry.versions()
    if not versions:
        st.info("No model yet. Ingest rulings, then run `evenhand train`.")
        return
    st.dataframe(version_rows(versions), hide_index=True)
    chosen = st.selectbox("Version", versions, format_func=_title)
    _metrics(registry, chosen, versions)
    _promote(registry, chosen, user)
    _ledger()


def _title(version: Version) -> str:
    return f"{version.name} ({', '.join(version.aliases)})" if version.aliases else version.name


def version_rows(versions: list[Version]) -> pd.DataFrame:
    """One row a version, newest first."""
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


def _metrics(registry: Registry, chosen: Version, versions: list[Version]) -> None:
    """Metrics by language and area on the unseen part; beside the champion's where there is another one."""
    metrics = registry.details(chosen.version)["manifest"]["metrics"]
    champion = next((row for row in versions if "champion" in row.aliases), None)
    other = None
    if champion is not None and champion.version != chosen.version:
        other = registry.details(champion.version)["manifest"]["metrics"]
        st.caption(f"In brackets: the champion, {champion.name}, on its own test part.")
    language, area = st.columns(2)
    for place, name in ((language, "language"), (area, "area")):
        place.subheader(f"By {name}")
        place.dataframe(slice_rows(metrics.get(name, {}), (other or {}).get(name, {}), name), hide_index=True)
    st.caption("Measured on the newest part of the rulings, which training did not see; 95% intervals by bootstrap over groups.")  # fmt: skip


def slice_rows(metrics: dict[str, Any], other: dict[str, Any], what: str) -> pd.DataFrame:
    """One row a slice: n, error rate and each metric with its interval."""
    rows = []
    for name, values in metrics.items():
        row: dict[str, Any] = {
            what.capitalize(): case_card.LANGUAGES.get(name, spoken(name)),
            "Decisions": int(values["n"]),
        }
        for metric, title in SHOWN.items():
            row[title] = _value(values, metric)
            if metric in other.get(name, {}) and other[name][metric] is not None:
                row[title] += f"  [{other[name][metric]:.2f}]"
        rows.append(row)
    return pd.DataFrame(rows)


def _value(values: dict[str, Any], metric: str) -> str:
    if values.get(metric) is None:
        return "too few" if metric not in values else "no errors"
    if metric in values.get("intervals", {}):
        low, high = values["intervals"][metric]
        return f"{values[metric]:.2f} ({low:.2f} to {high:.2f})"
    return f"{values[metric]:.2f}"


def _promote(registry: Registry, chosen: Version, user: User) -> None:
    """Promote or roll back, with a reason; both go into the ledger."""
    with st.expander("Promote or roll back"):
        note = st.text_input("Why", key="promote_note", placeholder="goes into the ledger")
        sure = st.checkbox(f"Yes, change the champion to {chosen.name}", key="promote_sure")
        promote, back = st.columns(2)
        ready = bool(note and sure and "champion" not in chosen.aliases)
        if promote.button(f"Promote {chosen.name}", disabled=not ready, type="primary"):
            _go_live(registry, registry.promote(chosen.version), note, user)
        if back.button("Roll back to the champion before", disabled=not note):
            _go_live(registry, registry.rollback(), note, user)


def _go_live(registry: Registry, number: str, note: str, user: User) -> None:
    at = datetime.now(UTC)
    for version in registry.policy_versions(number):
        session.store().record_live(registry.name(number), version, by=user.user_id, at=at, note=note)
    st.rerun()


def _ledger() -> None:
    st.subheader("Which model was live")
    lines = session.store().live_models()
    if not lines:
        st.info("No model has been live yet. Promote one with `evenhand models promote challenger`.")
        return
    st.dataframe(
        pd.DataFrame(
            [
                {"From (UTC)": f"{line.since:%Y-%m-%d %H:%M}", "Model": line.model_version,
                 "Policy version": line.policy_version, "By": line.by, "Why": line.note}
                for line in reversed(lines)
            ]
        ),
        hide_index=True,
    )  # fmt: skip
