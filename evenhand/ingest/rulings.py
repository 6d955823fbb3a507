"""Takes rulings into the store. Without a draw they only train models and are in no error rate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenhand.errors import IngestError, PolicyError, RecordError
from evenhand.ingest import checks
from evenhand.ingest.quarantine import IngestReport, Quarantine
from evenhand.ingest.readers import BadRow, printable, read_rows
from evenhand.records.checks import CONFIDENCE
from evenhand.records.decision import decision_id
from evenhand.records.policy import PolicyVersion
from evenhand.records.ruling import Ruling
from evenhand.store import Store
from evenhand.workspace.workspace import Workspace

REQUIRED = ("case_id", "area", "policy_version", "label", "sme_id", "ruled_at")
OPTIONAL = ("decision_moderator_id", "error_class", "cause", "confidence", "rationale")
_IDS = ("case_id", "area", "policy_version", "label", "sme_id")


class _Drawn:
    """The items of the draw that the rulings belong to, by decision id and by (case, area)."""

    def __init__(self, store: Store, draw_id: str) -> None:
        self.draw_id = draw_id
        self.by_decision: dict[str, tuple[str, str]] = {}
        self.by_case: dict[tuple[str, str], list[tuple[str, str]]] = {}
        items = store.items(draw_id).select("decision_id", "case_id", "area", "moderator_id", "label")
        for decision, case, area, moderator, label in items.iter_rows():
            self.by_decision[decision] = (moderator, label)
            self.by_case.setdefault((case, area), []).append((moderator, label))

    def match(self, case: str, area: str, moderator: str | None) -> tuple[str, str]:
        """Moderator and label of the drawn decision; RecordError if it was not drawn, or is not unique."""
        if moderator:
            found = self.by_decision.get(decision_id(case, area, moderator))
            if found is None:
                raise RecordError(f"case_id is not in draw {self.draw_id}; ingest it without --draw")
            return found
        several = self.by_case.get((case, area), [])
        if len(several) != 1:
            raise RecordError(
                f"case_id is not in draw {self.draw_id}; ingest it without --draw"
                if not several
                else "decision_moderator_id is needed: several decisions on this case were drawn"
            )
        return several[0]


def ingest_rulings(
    ws: Workspace,
    store: Store,
    file: Path,
    *,
    by: str,
    draw_id: str | None = None,
    panel: bool = False,
    chunk_rows: int = 10_000,
) -> IngestReport:
    """Take the rulings in `file` into the store. The same file twice changes nothing.

    With `draw_id` the rulings belong to items of that draw and enter its error rate; a ruling on a case that
    was not drawn is quarantined. With `panel` they are a panel's rulings on cases that SMEs ruled on
    (`evenhand panel`). IngestError if the file as a whole is unfit, or if a panel's file names no draw.
    """
    if panel and not draw_id:
        raise IngestError(f"{file}: a panel rules on the items of a draw; name it with --draw")
    policies = {policy.version: policy for policy in store.policies()}
    drawn = _Drawn(store, draw_id) if draw_id else None
    quarantine = Quarantine(ws.quarantine_dir, file)
    rules = [
        *checks.id_checks(_IDS),
        *checks.time_checks("ruled_at"),
        *checks.number_checks("confidence", CONFIDENCE),
        *checks.policy_checks(list(policies.values())),
    ]
    rows = added = unchanged = 0
    renamed = ws.config.ingest.rulings
    for chunk in read_rows(file, (*REQUIRED, *OPTIONAL), renamed, chunk_rows, prose="rationale"):
        rows += chunk.frame.height + len(chunk.bad)
        quarantine.add(chunk.bad)
        known = list(policies.values())
        frame = checks.complete(
            chunk, known, file, kind="rulings", renamed=renamed, required=REQUIRED, optional=OPTIONAL
        )
        good, bad = checks.split(frame, rules)
        quarantine.add(bad)
        parsed = good.with_columns(
            checks.parse_time("ruled_at").alias("ruled_at"),
            checks.parse_number("confidence").alias("confidence"),
        )
        rulings = []
        for row in parsed.iter_rows(named=True):
            try:
                rulings.append(_ruling(row, policies, drawn, panel=panel))
            except (RecordError, PolicyError) as problem:
                number = row.pop("row")
                bad_row = BadRow(
                    number, "", printable(row["case_id"]), _generic(problem), printable(row, 100_000)
                )
                quarantine.add([bad_row])
        result = store.add_rulings(rulings, by=by)
        added, unchanged = added + result.added, unchanged + result.duplicates
    return IngestReport(
        rows=rows,
        added=added,
        unchanged=unchanged,
        quarantined=quarantine.count,
        quarantine_file=quarantine.write(),
        reasons=dict(quarantine.reasons),
    )


def _generic(problem: Exception) -> str:
    """The reason without the name of the case, so that equal reasons are counted together."""
    return str(problem).split(": ", 1)[-1]


def _ruling(
    row: Mapping[str, Any], policies: Mapping[str, PolicyVersion], drawn: _Drawn | None, *, panel: bool
) -> Ruling:
    moderator, error_class = row["decision_moderator_id"] or None, row["error_class"] or None
    if drawn is not None:
        moderator, decided = drawn.match(row["case_id"], row["area"], moderator)
        if error_class is None:
            error_class = policies[row["policy_version"]].area(row["area"]).error_class(decided, row["label"])
    return Ruling(
        case_id=row["case_id"],
        area=row["area"],
        policy_version=row["policy_version"],
        label=row["label"],
        sme_id=row["sme_id"],
        ruled_at=row["ruled_at"],
        decision_moderator_id=moderator,
        error_class=error_class,
        cause=row["cause"] or None,
        confidence=row["confidence"],
        rationale=row["rationale"] or None,
        draw_id=drawn.draw_id if drawn else None,
        source="panel" if panel else "ingest",
    )
