"""Who becomes champion: a gate that compares first, and the ledger line that says how it went."""

from __future__ import annotations

from datetime import datetime

from evenhand.errors import ModelError, OutsideError
from evenhand.store import Store
from evenhand.workspace.workspace import Workspace
from models.compare.versions import Checked, check
from models.registry import CHAMPION, Registry

FIRST = Checked(comparison=None, why="the first champion: there is nothing to compare it with")


def check_promotion(
    ws: Workspace, store: Store, registry: Registry, version: str, *, anyway: bool = False
) -> Checked:
    """The version beside the champion of the moment; `FIRST` where there is none.

    As `models.compare.versions.check`. With `anyway` a champion that cannot be read is no obstacle; a version
    that cannot be read always is.
    """
    if registry.champion() is None:
        return FIRST
    try:
        return check(ws, store, registry, version, CHAMPION)
    except (ModelError, OutsideError) as problem:
        if not anyway:
            raise
        registry.load(version)
        return Checked(comparison=None, why=f"not compared: {problem}")


def promote(
    registry: Registry,
    store: Store,
    version: str,
    checked: Checked,
    *,
    by: str,
    at: datetime,
    note: str,
    anyway: bool = False,
) -> str:
    """Make the version champion and write the ledger; returns its number.

    ModelError, and nothing changes, where `checked` (of `check_promotion`) found it worse and not `anyway`;
    `anyway` wants a note.
    """
    name, comparison = registry.name(version), checked.comparison
    if comparison and comparison.champion != registry.name(CHAMPION):
        raise ModelError(f"{comparison.champion} is no longer champion; compare {name} with the present one")
    if checked.losses and not (anyway and note):
        raise ModelError(_refusal(name, checked))
    if checked.losses:
        said = f"anyway: worse in {'; '.join(checked.losses)}"
    else:
        said = checked.said
    number = registry.promote(version)
    _go_live(registry, store, number, by=by, at=at, note=f"{note or 'promoted'} ({said})")
    return number


def roll_back(registry: Registry, store: Store, *, by: str, at: datetime, note: str) -> str:
    """Make the champion before this one champion again and write the ledger; returns its number.

    Nothing is compared.
    """
    number = registry.rollback()
    _go_live(registry, store, number, by=by, at=at, note=note or "rolled back")
    return number


def _refusal(name: str, checked: Checked) -> str:
    comparison = checked.comparison
    champion, n = (comparison.champion, comparison.n) if comparison else ("the champion", 0)
    return (
        f"{name} is worse than the champion {champion} beyond the interval: {'; '.join(checked.losses)}, on {n} decisions with"
        f" rulings new to both. See `evenhand models compare {name}`; retrain with more rulings there, or promote it"
        ' nevertheless with --anyway --note "why"'
    )


def _go_live(registry: Registry, store: Store, version: str, *, by: str, at: datetime, note: str) -> None:
    """Write the ledger: this version is live for each policy version that it covers, from now on."""
    for policy_version in registry.policy_versions(version):
        store.record_live(registry.name(version), policy_version, by=by, at=at, note=note)
