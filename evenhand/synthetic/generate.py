"""Writes the invented data set: texts, decisions with planted errors, rulings and the truth."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from evenhand.errors import UserError
from evenhand.records.decision import decision_id
from evenhand.records.policy import PolicyVersion
from evenhand.synthetic.people import CLUSTERS, MARKETS, Moderator, moderators, wrong_label
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.files import atomic_path

START = date(2026, 1, 5)
DAYS = 84
QUEUES = {"uploads": "video_caption", "comments": "comment", "live": "live_chat"}
LANGUAGE_SHARES = {
    "id": 0.2,
    "en": 0.17,
    "es": 0.15,
    "vi": 0.12,
    "th": 0.11,
    "tl": 0.1,
    "ar": 0.08,
    "ms": 0.07,
}
SECOND_LOOK = 0.06  # share of decisions on a case that another moderator decided too
# share of the cases, except plain ones, in which something outside the text changes the right label
CONTEXT = 0.05
SEEN = 0.6  # the moderator gets this share of them right; a model that reads only the text cannot

#: Kinds and their shares in each area; then the label of each kind, as (old, new) if the two policy versions
#: differ.
KINDS: dict[str, dict[str, float]] = {
    "harassment": {"plain": 0.42, "banter": 0.2, "harsh_review": 0.13, "insult": 0.15, "pile_on": 0.1},
    "spam": {"plain": 0.4, "warning": 0.13, "bait": 0.15, "spam": 0.17, "scam": 0.15},
    "regulated_goods": {"plain": 0.42, "education": 0.2, "promotion": 0.2, "sale": 0.18},
    "dangerous_acts": {"plain": 0.45, "trained": 0.25, "encouragement": 0.3},
    "health_claims": {"plain": 0.45, "debunk": 0.22, "misleading": 0.33},
    "privacy": {"plain": 0.45, "business": 0.25, "exposure": 0.3},
}
LABELS: dict[str, tuple[str, str]] = {
    "harassment.harsh_review": ("insult", "no_violation"),
    "harassment.insult": ("insult", "insult"),
    "harassment.pile_on": ("pile_on", "pile_on"),
    "spam.bait": ("no_violation", "engagement_bait"),
    "spam.spam": ("spam", "spam"),
    "spam.scam": ("scam", "scam"),
    "regulated_goods.promotion": ("promotion", "promotion"),
    "regulated_goods.sale": ("sale", "sale"),
    "dangerous_acts.encouragement": ("encouragement", "encouragement"),
    "health_claims.misleading": ("misleading_claim", "misleading_claim"),
    "privacy.exposure": ("exposure", "exposure"),
}
_RULING_COLUMNS = (
    "case_id",
    "area",
    "policy_version",
    "label",
    "sme_id",
    "ruled_at",
    "decision_moderator_id",
    "error_class",
    "rationale",
)


@cache
def phrases() -> dict[str, Any]:
    """The sentences by language: topics, openers, closers, and kinds -> sentences."""
    text = (Path(__file__).parent / "phrases.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def generate(*, seed: int, decisions: int, rulings: int, out_dir: Path) -> None:
    """Write `decisions.csv.gz`, `rulings.csv.gz` and `truth.parquet` to `out_dir`.

    The same arguments give the same rows. Twelve weeks from 2026-01-05, a policy change in week 8, simulated
    moderators with habits, planted clusters of errors. The truth has one row for each decision: decision_id,
    kind, label, true_label, cluster. The rulings are on a random draw of the decisions before the last week,
    without error. Raises UserError if there are too few decisions for the rulings.
    """
    if rulings > decisions // 2:
        raise UserError(f"{rulings:,} rulings from {decisions:,} decisions; ask for at most half as many")
    rng = np.random.default_rng(seed)
    policies = [policy for policy, _ in sample_policies()]
    rows = _decisions(decisions, policies, rng)
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.Series("decision_id", [decision_id(r["case_id"], r["area"], r["moderator_id"]) for r in rows])
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    truth = ("decision_id", "kind", "label", "true_label", "cluster")
    with atomic_path(out_dir / "truth.parquet") as part:
        frame.select(truth).write_parquet(part)
    with atomic_path(out_dir / "decisions.csv.gz") as part:
        frame.drop("decision_id", "kind", "true_label", "cluster", "second_look", "context").write_csv(
            part, compression="gzip", check_extension=False
        )
    with atomic_path(out_dir / "rulings.csv.gz") as part:
        _rulings(frame, rulings, policies, rng).write_csv(part, compression="gzip", check_extension=False)


def _decisions(n: int, policies: list[PolicyVersion], rng: np.random.Generator) -> list[dict[str, Any]]:
    people: dict[str, list[Moderator]] = {}
    for person in moderators(rng):
        people.setdefault(person.language, []).append(person)
    languages = rng.choice(list(LANGUAGE_SHARES), n, p=list(LANGUAGE_SHARES.values()))
    areas, queues = list(KINDS), list(QUEUES)
    rows: list[dict[str, Any]] = []
    minutes = np.sort(rng.integers(0, DAYS * 24 * 60, n))
    for i in range(n):
        at = datetime(START.year, START.month, START.day, tzinfo=UTC) + timedelta(minutes=int(minutes[i]))
        if (
            rows
            and rng.random() < SECOND_LOOK
            and (again := _second_look(rows[-1], people, at, policies, rng))
        ):
            rows.append(again)
            continue
        language = str(languages[i])
        area = areas[int(rng.integers(len(areas)))]
        shares = KINDS[area]
        kind = f"{area}.{rng.choice(list(shares), p=list(shares.values()))}"
        queue = queues[int(rng.integers(len(queues)))]
        person = people[language][int(rng.integers(len(people[language])))]
        case = {
            "case_id": f"c{len(rows) + 1:06}",
            "text": _text(language, kind, rng),
            "language": language,
            "market": MARKETS[language],
            "queue": queue,
            "area": area,
            "content_type": QUEUES[queue],
            "author_id": f"a{int(rng.integers(n // 4 + 1)):05}",
            "exposure": int(rng.lognormal(5.5, 1.8)),
            "kind": kind,
            "context": not kind.endswith(".plain") and bool(rng.random() < CONTEXT),
        }
        rows.append(_decide(case, person, at, policies, rng))
    return rows


def _second_look(
    before: dict[str, Any],
    people: dict[str, list[Moderator]],
    at: datetime,
    policies: list[PolicyVersion],
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    """The previous case, decided again by somebody else; None if that decision was a second look itself."""
    others = [p for p in people[before["language"]] if p.moderator_id != before["moderator_id"]]
    if before["second_look"]:
        return None
    kept = (
        "case_id",
        "text",
        "language",
        "market",
        "queue",
        "area",
        "content_type",
        "author_id",
        "exposure",
        "kind",
        "context",
    )
    case = {name: before[name] for name in kept}
    return {**_decide(case, others[int(rng.integers(len(others)))], at, policies, rng), "second_look": True}


def _decide(
    case: dict[str, Any],
    person: Moderator,
    at: datetime,
    policies: list[PolicyVersion],
    rng: np.random.Generator,
) -> dict[str, Any]:
    old, new = policies[0], policies[-1]
    policy = new if at.date() >= new.effective_from else old
    names = LABELS.get(case["kind"], ("no_violation", "no_violation"))
    options = policy.area(case["area"]).label_names
    truth, label, cluster = names[policy is new], None, None
    if case["context"]:
        reads_like, truth = truth, options[1] if truth == options[0] else options[0]
        label = None if rng.random() < SEEN else reads_like
    week = (at.date() - START).days // 7 + 1
    for planted in CLUSTERS:
        here = planted.kind == case["kind"] and case["language"] in planted.languages
        if (
            label is None
            and here
            and planted.queue in (None, case["queue"])
            and planted.weeks[0] <= week <= planted.weeks[1]
        ):
            if rng.random() < planted.share:
                label, cluster = planted.decided, planted.name
            break
    if label is None:
        label = wrong_label(person, case["kind"], truth, names[0], options, rng)
    return {
        **case,
        "policy_version": policy.version,
        "label": label or truth,
        "moderator_id": person.moderator_id,
        "team": person.team,
        "decided_at": at.isoformat().replace("+00:00", "Z"),
        "true_label": truth,
        "cluster": cluster,
        "second_look": False,
    }


def _text(language: str, kind: str, rng: np.random.Generator) -> str:
    words = phrases()[language]

    def one_of(options: list[str]) -> str:
        return options[int(rng.integers(len(options)))]

    sentence = one_of(words["kinds"][kind])
    sentence = sentence.replace("{t}", one_of(words["topics"])).replace("{n}", str(int(rng.integers(2, 60))))
    return one_of(words["openers"]) + sentence + one_of(words["closers"])


def _rulings(
    frame: pl.DataFrame, n: int, policies: list[PolicyVersion], rng: np.random.Generator
) -> pl.DataFrame:
    """A random draw of decisions before the last week, ruled by the SME of the market within three days."""
    last = (START + timedelta(days=DAYS - 7)).isoformat()
    early = frame.filter(pl.col("decided_at") < last)
    picked = early[np.sort(rng.choice(early.height, min(n, early.height), replace=False))]
    known = {policy.version: policy for policy in policies}
    rows = []
    for row in picked.iter_rows(named=True):
        at = datetime.fromisoformat(row["decided_at"]) + timedelta(minutes=int(rng.integers(60, 3 * 24 * 60)))
        area = known[row["policy_version"]].area(row["area"])
        rows.append(
            {
                "case_id": row["case_id"],
                "area": row["area"],
                "policy_version": row["policy_version"],
                "label": row["true_label"],
                "sme_id": f"sme-{row['market'].lower()}",
                "ruled_at": at.isoformat().replace("+00:00", "Z"),
                "decision_moderator_id": row["moderator_id"],
                "error_class": area.error_class(row["label"], row["true_label"]),
                "rationale": "simulated SME",
            }
        )
    return pl.DataFrame(rows, schema=dict.fromkeys(_RULING_COLUMNS, pl.String))
