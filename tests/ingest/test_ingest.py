"""Tests ingest: nothing is lost, and the same file twice changes nothing.

test_bad_input.py tests what a user is told about bad input.
"""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from builders import TWO_AREAS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evenhand.errors import EvenhandError, IngestError
from evenhand.ingest import decisions as decisions_module
from evenhand.ingest import ingest_decisions, ingest_rulings
from evenhand.records.checks import MAX_TEXT
from evenhand.records.columns import DECISIONS
from evenhand.records.decision import Decision, decision_id
from evenhand.records.policy import parse_policy
from evenhand.records.ruling import Ruling
from evenhand.store import Store
from evenhand.workspace.lake import decision_files, scan_decisions
from evenhand.workspace.workspace import create_workspace

POLICY = parse_policy(TWO_AREAS)
GOOD = {
    "case_id": "c1",
    "text": "สวัสดี مرحبا 🙂",
    "language": "th",
    "market": "TH",
    "queue": "live",
    "area": "tone",
    "policy_version": "v1",
    "label": "rude",
    "moderator_id": "m1",
    "decided_at": "2026-03-01T09:30:00Z",
}


@pytest.fixture
def ws(tmp_path):
    return create_workspace(tmp_path / "w")


def jsonl(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows))
    return path


def csv_of(path: Path, *rows: dict) -> Path:
    pl.DataFrame(rows).write_csv(path)
    return path


def lake(ws) -> pl.DataFrame:
    return scan_decisions(ws).collect()


def quarantined(report) -> pl.DataFrame:
    return pl.read_parquet(report.quarantine_file)


def test_a_good_row_arrives_whole(ws, tmp_path):
    report = ingest_decisions(
        ws, [POLICY], jsonl(tmp_path / "d.jsonl", {**GOOD, "exposure": 12, "team": "a"})
    )
    assert (report.rows, report.added, report.unchanged, report.quarantined) == (1, 1, 0, 0)
    row = lake(ws).row(0, named=True)
    assert row["text"] == GOOD["text"] and row["exposure"] == 12.0 and row["team"] == "a"
    assert row["decided_at"] == datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    assert row["decision_id"] == decision_id("c1", "tone", "m1")
    assert dict(lake(ws).schema) == dict(DECISIONS)
    assert decision_files(ws)[0].parent.name == "day=2026-03-01"


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"])
def test_every_kind_of_file_gives_the_same_lake(ws, tmp_path, kind):
    rows = [{**GOOD, "case_id": f"c{i}"} for i in range(5)]
    path = tmp_path / f"d.{kind}"
    plain = tmp_path / f"plain.{kind.split('.')[0]}"
    {
        "csv": lambda: csv_of(plain, *rows),
        "jsonl": lambda: jsonl(plain, *rows),
        "parquet": lambda: pl.DataFrame(rows).write_parquet(plain),
    }[kind.split(".")[0]]()
    path.write_bytes(gzip.compress(plain.read_bytes()) if kind.endswith("gz") else plain.read_bytes())
    assert ingest_decisions(ws, [POLICY], path).added == 5
    assert sorted(lake(ws)["case_id"]) == [f"c{i}" for i in range(5)]
    assert set(lake(ws)["text"]) == {GOOD["text"]}


def test_the_same_file_twice_changes_nothing(ws, tmp_path):
    path = csv_of(tmp_path / "d.csv", *[{**GOOD, "case_id": f"c{i}"} for i in range(7)])
    ingest_decisions(ws, [POLICY], path)
    before = {f: f.read_bytes() for f in decision_files(ws)}
    again = ingest_decisions(ws, [POLICY], path)
    assert (again.added, again.unchanged) == (0, 7)
    assert {f: f.read_bytes() for f in decision_files(ws)} == before


@pytest.mark.parametrize("text", ["", "🙂🙂", "x" * MAX_TEXT, 'line\nbreak, "quotes"', "ก" * 5_000])
def test_odd_but_fair_texts_pass(ws, tmp_path, text):
    for kind, write in (("jsonl", jsonl), ("csv", csv_of)):
        report = ingest_decisions(ws, [POLICY], write(tmp_path / f"d.{kind}", {**GOOD, "text": text}))
        assert report.quarantined == 0
    assert lake(ws)["text"].to_list() == [text]


def test_utf16_is_read(ws, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(csv_of(tmp_path / "plain.csv", GOOD).read_text(), encoding="utf-16")
    assert ingest_decisions(ws, [POLICY], path).added == 1
    assert lake(ws)["text"].to_list() == [GOOD["text"]]


def test_ragged_lines_are_kept(ws, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(csv_of(tmp_path / "plain.csv", GOOD).read_text() + "a,b\n\n")
    report = ingest_decisions(ws, [POLICY], path)
    assert (report.rows, report.added, report.quarantined) == (3, 1, 2)


def test_the_same_decision_with_other_content_is_quarantined(ws, tmp_path):
    path = jsonl(tmp_path / "d.jsonl", GOOD, GOOD, {**GOOD, "label": "clean"})
    report = ingest_decisions(ws, [POLICY], path)
    assert (report.added, report.unchanged, report.quarantined) == (1, 1, 1)
    later = ingest_decisions(ws, [POLICY], jsonl(tmp_path / "e.jsonl", {**GOOD, "market": "VN"}))
    assert (later.added, later.quarantined) == (0, 1)
    kept = quarantined(later).row(0, named=True)
    assert "are there already with other content" in kept["reason"] and "VN" in kept["raw"]
    assert lake(ws)["label"].to_list() == ["rude"]


def test_two_moderators_on_one_case_are_two_decisions(ws, tmp_path):
    report = ingest_decisions(ws, [POLICY], jsonl(tmp_path / "d.jsonl", GOOD, {**GOOD, "moderator_id": "m2"}))
    assert report.added == 2


def test_a_lone_area_is_filled_in(ws, tmp_path):
    policy = parse_policy(TWO_AREAS.split("  - name: spam")[0])
    row = {k: v for k, v in GOOD.items() if k != "area"}
    assert ingest_decisions(ws, [policy], csv_of(tmp_path / "d.csv", row)).added == 1


def test_a_run_cut_while_publishing_is_finished_by_the_next(ws, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(decisions_module, "_publish", lambda *_: None)
        ingest_decisions(ws, [POLICY], jsonl(tmp_path / "d.jsonl", GOOD))
    assert not decision_files(ws)
    report = ingest_decisions(ws, [POLICY], jsonl(tmp_path / "e.jsonl", {**GOOD, "case_id": "c2"}))
    assert report.added == 1 and sorted(lake(ws)["case_id"]) == ["c1", "c2"]


def test_two_ingests_at_once_do_not_mix(ws, tmp_path):
    ws.decisions_dir.mkdir(parents=True)
    with (
        decisions_module._alone(ws.decisions_dir),
        pytest.raises(IngestError, match="another ingest is running"),
    ):
        ingest_decisions(ws, [POLICY], jsonl(tmp_path / "d.jsonl", GOOD))


_odd = st.sampled_from(["", " ", "c1", "tone", "spam", "clean", "rude", "bait", "v1", "v2", "x\x00", " m"])
_times = st.sampled_from(
    [
        "2026-03-01T09:30:00Z",
        "2026-03-01 09:30+07:00",
        "2026-03-01T09:30:00.123456-0330",
        "2026-03-01T09:30:00",
        "",
        "2026-13-01T00:00:00Z",
        "2026-03-01",
        "20260301T093000Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:00:00-05:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "2199-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
    ]
)
_rows = st.fixed_dictionaries(
    {
        "case_id": _odd | st.text(max_size=5),
        "text": st.text(max_size=20),
        "language": st.sampled_from(["en", "th", "zh-Hant", "und", "", "e", "x y", "en_US"]),
        "market": _odd,
        "queue": st.sampled_from(["q", ""]),
        "area": _odd,
        "policy_version": st.sampled_from(["v1", "v1", "v2"]),
        "label": _odd,
        "moderator_id": st.sampled_from(["m1", "m2"]),
        "decided_at": _times,
        "exposure": st.sampled_from(
            [
                "",
                "3",
                "-1",
                "nan",
                "x",
                "inf",
                "Infinity",
                " 7 ",
                "-0",
                "1e15",
                "1e16",
                "1e999",
                "1,234",
                "True",
            ]
        ),
    }
)


def constructible(row: dict) -> bool:
    try:
        time = datetime.fromisoformat(row["decided_at"])
        exposure = float(row["exposure"]) if row["exposure"] else None
        Decision(**{**row, "decided_at": time, "exposure": exposure})
        if row["policy_version"] != "v1":
            return False
        POLICY.check(row["area"], row["label"])
    except (EvenhandError, ValueError):
        return False
    # Python accepts compact ISO forms; ingest refuses them on purpose
    return "T" not in row["decided_at"] or "-" in row["decided_at"][:8]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(_rows, min_size=1, max_size=8))
def test_columns_and_records_agree_and_the_counts_add_up(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("p")
    ws = create_workspace(folder / "w")
    for i, row in enumerate(rows):
        row["queue"] = row["queue"] and f"q{i}"
    report = ingest_decisions(ws, [POLICY], jsonl(folder / "d.jsonl", *rows), chunk_rows=3)
    assert report.rows == len(rows) == report.added + report.unchanged + report.quarantined
    fair = [row for row in rows if constructible(row)]
    keys = {(row["case_id"], row["area"], row["moderator_id"]) for row in fair}
    assert report.added == len(keys)
    assert sum(report.reasons.values()) == report.quarantined


PLAIN = "exposure is no number of views from 0 to 1e+15"
PARTED = "exposure is written with a thousands separator or a decimal comma"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_numbers_as_text_are_read_by_one_rule(ws, tmp_path, kind):
    fair = {
        "12": 12.0,
        " 1.5 ": 1.5,
        "1.2e3": 1200.0,
        "1E+3": 1000.0,
        "+7": 7.0,
        "": None,
        "-0": 0.0,
        "1e15": 1e15,
    }
    unfit = {
        "inf": PLAIN,
        "Infinity": PLAIN,
        "nan": PLAIN,
        "1e16": PLAIN,
        "1e999": PLAIN,
        "True": PLAIN,
        "0x10": PLAIN,
        "1_000": PLAIN,
        "1,234": PARTED,
        "12,5": PARTED,
        "1 234": PARTED,
    }
    rows = [{**GOOD, "case_id": f"c{text}".strip(), "exposure": text} for text in (*fair, *unfit)]
    report = ingest_decisions(
        ws, [POLICY], (csv_of if kind == "csv" else jsonl)(tmp_path / f"d.{kind}", *rows)
    )
    found = dict(lake(ws).select("case_id", "exposure").iter_rows())
    assert found == {f"c{text}".strip(): number for text, number in fair.items()}
    assert str(found["c-0"]) == "0.0"
    kept = quarantined(report)
    assert kept["value"].to_list() == list(unfit) and set(kept["column"]) == {"exposure"}
    assert all(why.startswith(said) for why, said in zip(kept["reason"], unfit.values(), strict=True))


def test_json_literals_that_are_no_numbers_are_refused(ws, tmp_path):
    values = [float("nan"), float("inf"), -float("inf"), True, [3], 1e300, 10**30]
    rows = [{**GOOD, "case_id": f"c{i}", "exposure": value} for i, value in enumerate(values)]
    report = ingest_decisions(ws, [POLICY], jsonl(tmp_path / "d.jsonl", *rows, {**GOOD, "exposure": 3}))
    assert (report.added, report.quarantined) == (1, len(values))
    assert all(why.startswith(PLAIN) for why in quarantined(report)["reason"])


@pytest.mark.parametrize(
    ("values", "fair"),
    [
        (
            pl.Series([1.5, float("nan"), float("inf"), -1.0, None, 1e16], dtype=pl.Float64),
            {"c0": 1.5, "c4": None},
        ),
        (pl.Series([1.5, float("inf")], dtype=pl.Float32), {"c0": 1.5}),
        (pl.Series([7, -7, 10**18], dtype=pl.Int64), {"c0": 7.0}),
        (pl.Series(["2.50", "-1.00"]).cast(pl.Decimal(10, 2)), {"c0": 2.5}),
        (pl.Series([True, False]), {}),
    ],
    ids=["float", "float32", "int", "decimal", "boolean"],
)
def test_numbers_of_parquet_are_read_by_the_same_rule(ws, tmp_path, values, fair):
    rows = pl.DataFrame([{**GOOD, "case_id": f"c{i}"} for i in range(len(values))])
    rows.with_columns(values.alias("exposure")).write_parquet(tmp_path / "d.parquet")
    report = ingest_decisions(ws, [POLICY], tmp_path / "d.parquet")
    assert dict(lake(ws).select("case_id", "exposure").iter_rows()) == fair
    assert report.quarantined == len(values) - len(fair)


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00", "1900-01-01T00:00:00Z"]
)
def test_a_time_that_no_calendar_holds_stays_out_of_the_lake(ws, tmp_path, time):
    report = ingest_decisions(
        ws, [POLICY], jsonl(tmp_path / "d.jsonl", {**GOOD, "decided_at": time}, GOOD | {"case_id": "c2"})
    )
    assert quarantined(report)["reason"].to_list() == ["decided_at is not in the years 1970 to 2199"]
    assert lake(ws)["case_id"].to_list() == ["c2"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exposure", float("inf")),
        ("exposure", float("nan")),
        ("exposure", True),
        ("exposure", 1e16),
        ("exposure", "3"),
        ("decided_at", datetime(1, 1, 1, tzinfo=UTC)),
        ("decided_at", datetime(2200, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_decision_holds_the_same_rule(name, value):
    row = {**GOOD, "decided_at": datetime(2026, 3, 1, tzinfo=UTC)}
    with pytest.raises(EvenhandError, match=f"case c1: {name} is"):
        Decision(**{**row, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("confidence", float("nan")),
        ("confidence", 1.01),
        ("confidence", True),
        ("seconds", float("inf")),
        ("seconds", -1),
        ("seconds", 1e10),
        ("seconds", True),
    ],
)
def test_a_ruling_holds_the_same_rule(name, value):
    row = {**RULING, "ruled_at": datetime(2026, 3, 1, tzinfo=UTC)}
    with pytest.raises(EvenhandError, match=f"case c1: {name} is"):
        Ruling(**{**row, name: value})


RULING = {
    "case_id": "c1",
    "area": "tone",
    "policy_version": "v1",
    "label": "clean",
    "sme_id": "sam",
    "ruled_at": "2026-03-02T10:00:00Z",
    "decision_moderator_id": "m1",
}


def test_rulings_are_kept_as_gold_and_checked(ws, tmp_path):
    store = Store.open(ws.store_url)
    store.add_policy(POLICY, TWO_AREAS, by="ann")
    bad: list[dict[str, Any]] = [
        {**RULING, "error_class": "bogus"},
        {**RULING, "confidence": "7"},
        {**RULING, "label": "nope"},
        {**RULING, "ruled_at": "2026-03-02T10:00:00"},
        {**RULING, "confidence": "high"},
        {**RULING, "confidence": float("nan")},
        {**RULING, "confidence": True},
        {**RULING, "confidence": "0,5"},
    ]
    path = jsonl(tmp_path / "r.jsonl", RULING, *bad)
    report = ingest_rulings(ws, store, path, by="ann")
    assert (report.rows, report.added, report.quarantined) == (9, 1, 8)
    assert store.rulings()["draw_id"].to_list() == [None]
    again = ingest_rulings(ws, store, path, by="ann")
    assert (again.added, again.unchanged) == (0, 1)
