"""Tests the commands on bad input: each message says what, where and what to do, and nothing is lost."""

import gzip
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from builders import TWO_AREAS

from cli.main import main
from evenhand.records.checks import MAX_TEXT
from evenhand.store import Store
from evenhand.workspace.lake import decision_files, scan_decisions
from evenhand.workspace.workspace import open_workspace

GOOD = {
    "case_id": "c1",
    "text": "hello there",
    "language": "en",
    "market": "SG",
    "queue": "live",
    "area": "tone",
    "policy_version": "v1",
    "label": "rude",
    "moderator_id": "m1",
    "decided_at": "2026-03-01T09:30:00Z",
}
RULING = {
    "case_id": "c1",
    "area": "tone",
    "policy_version": "v1",
    "label": "clean",
    "sme_id": "sam",
    "ruled_at": "2026-03-02T10:00:00Z",
    "decision_moderator_id": "m1",
}


class Desk:
    """A workspace and a person who types commands in it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self._capsys, self._files = root / "w", capsys, root
        assert main(["init", str(self.root), "--no-sample-policy"]) == 0
        (root / "policy.yaml").write_text(TWO_AREAS)
        assert self.run("policy", "add", str(root / "policy.yaml"))[0] == 0

    def run(self, *words: str) -> tuple[int, str]:
        """The exit code, and the output on both streams."""
        self._capsys.readouterr()
        code = main(["-w", str(self.root), *words])
        said = self._capsys.readouterr()
        return code, said.out + said.err

    def file(self, name: str, data: bytes | str) -> str:
        path = self._files / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    def jsonl(self, *rows: dict) -> str:
        return self.file("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def csv(self, *rows: dict) -> bytes:
        return pl.DataFrame(rows).write_csv().encode()

    def lake(self) -> pl.DataFrame:
        return scan_decisions(open_workspace(self.root)).collect()

    def quarantine(self) -> pl.DataFrame:
        files = sorted((self.root / "quarantine").glob("*.parquet"))
        return pl.concat(pl.read_parquet(file) for file in files)


@pytest.fixture
def desk(tmp_path, capsys) -> Desk:
    return Desk(tmp_path, capsys)


@pytest.mark.parametrize(
    ("change", "column", "said"),
    [
        ({"label": "vile"}, "label", "label is not in area tone of policy v1, which has clean, rude"),
        ({"area": "sport"}, "area", "area is not in policy v1, which has tone, spam"),
        (
            {"policy_version": "v7"},
            "policy_version",
            "policy_version is unknown; known: v1; add one with `evenhand policy add`",
        ),
        (
            {"decided_at": "2026-03-01T09:30:00"},
            "decided_at",
            "decided_at has no time zone; write it as UTC, like",
        ),
        ({"decided_at": "last Monday"}, "decided_at", "decided_at is no time"),
        ({"decided_at": "2026-02-31T09:30:00Z"}, "decided_at", "decided_at is no time"),
        ({"case_id": ""}, "case_id", "case_id is empty"),
        ({"moderator_id": " m1"}, "moderator_id", "moderator_id has outer spaces"),
        ({"text": "a\x00b"}, "text", "text holds a NUL character"),
        ({"text": "x" * (MAX_TEXT + 1)}, "text", "text has more than 100,000 characters"),
        ({"text": "half \ud83d"}, "text", "text is not valid UTF-8, or holds a lone surrogate"),
        ({"language": "english please"}, "language", "language is no BCP 47 tag"),
        ({"exposure": "-3"}, "exposure", "exposure is no number of views"),
        ({"exposure": "many"}, "exposure", "exposure is no number of views"),
    ],
    ids=[
        "label",
        "area",
        "policy version",
        "time zone",
        "no time",
        "no such day",
        "no id",
        "outer spaces",
        "NUL",
        "too long",
        "lone surrogate",
        "language",
        "negative views",
        "views in words",
    ],
)
def test_a_bad_row_is_named_counted_and_kept_and_the_good_one_arrives(desk, change, column, said):
    rows = GOOD, {**GOOD, "case_id": "c2", "queue": "second", **change}
    code, out = desk.run("ingest", "decisions", desk.jsonl(*rows))
    assert code == 0 and "2 rows, 1 added, 0 unchanged, 1 quarantined" in out and said in out
    kept = desk.quarantine().row(0, named=True)
    assert (kept["row"], kept["column"]) == (2, column) and kept["reason"].startswith(said)
    assert len(kept["value"]) <= 300 and "second" in kept["raw"]
    assert desk.lake()["case_id"].to_list() == ["c1"]
    code, out = desk.run("ingest", "decisions", "--strict", desk.jsonl(*rows))
    assert code == 2 and "1 rows quarantined, and --strict was given" in out


def test_rows_of_another_encoding_are_told_apart(desk):
    latin = desk.csv({**GOOD, "case_id": "c2", "text": "caffe"}).split(b"\n")[1].replace(b"caffe", b"caf\xe9")
    file = desk.file("mixed.csv", b"\xef\xbb\xbf" + desk.csv({**GOOD, "text": "สวัสดี"}) + latin + b"\n")
    code, out = desk.run("ingest", "decisions", file)
    assert code == 0 and "1 added, 0 unchanged, 1 quarantined" in out and "not valid UTF-8" in out
    assert desk.lake()["text"].to_list() == ["สวัสดี"]
    kept = desk.quarantine().row(0, named=True)
    assert kept["column"] == "text" and "caf" in kept["value"]


def test_an_open_quote_takes_no_other_row_with_it(desk):
    rows = [
        {**GOOD, "case_id": "c2", "text": "a quoted, fair text", "label": "clean"},
        {**GOOD, "case_id": "c3"},
    ]
    head, fair, last = desk.csv(*rows).decode().splitlines()
    broken = last.replace("c3,hello there", 'c1,"an open quote')
    code, out = desk.run("ingest", "decisions", desk.file("open.csv", "\n".join([head, broken, fair, last])))
    assert code == 0 and "3 rows, 2 added, 0 unchanged, 1 quarantined" in out
    assert "a quoted field is not closed" in out
    assert dict(desk.lake().select("case_id", "label").iter_rows()) == {"c2": "clean", "c3": "rude"}
    kept = desk.quarantine().row(0, named=True)
    assert kept["row"] == 2 and kept["raw"].rstrip() == broken


def test_a_text_of_bytes_in_parquet_arrives_as_text(desk):
    rows = pl.DataFrame([GOOD, {**GOOD, "case_id": "c2"}])
    texts = pl.Series("text", ["café".encode(), "café".encode("latin-1")], pl.Binary)
    times = pl.Series("decided_at", [1_772_357_400_000_000_001] * 2).cast(pl.Datetime("ns", "UTC"))
    rows.with_columns(texts, times).write_parquet(path := Path(desk.file("bytes.parquet", b"")))
    code, out = desk.run("ingest", "decisions", str(path))
    assert code == 0 and "1 added, 0 unchanged, 1 quarantined" in out
    assert desk.lake()["text"].to_list() == ["café"]


def _half_a_parquet(desk: Desk) -> str:
    path = Path(desk.file("half.parquet", b""))
    pl.DataFrame([{**GOOD, "case_id": f"c{i}"} for i in range(2_000)]).write_parquet(path)
    return desk.file("half.parquet", path.read_bytes()[: path.stat().st_size // 2])


MISSING = (
    "no column market; it has case_id, text, language, country, queue, area, policy_version, label, moderator_id, decided_at;"
    ' map foreign names in evenhand.toml, [ingest.decisions] market = "your column"'
)


def _half_a_gzip(desk: Desk) -> str:
    whole = gzip.compress(desk.csv(*[{**GOOD, "case_id": f"c{i}"} for i in range(500)]))
    return desk.file("half.csv.gz", whole[:-30])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_half_a_parquet, "half.parquet: cannot be read to its end"),
        (_half_a_gzip, "half.csv.gz: cannot be read to its end"),
        (lambda d: d.file("no.csv", b""), "no.csv: is empty; the first line should name the columns"),
        (lambda d: d.file("no.jsonl", b""), "no.jsonl: is empty; write one JSON object a line"),
        (
            lambda d: d.file("x.csv", d.csv(GOOD).replace(b",", b";")),
            "separated by semicolons; export it with commas",
        ),
        (
            lambda d: d.file("x.csv", d.csv(GOOD).replace(b",", b"\t")),
            "separated by tabs; export it with commas",
        ),
        (lambda d: d.file("x.csv", d.csv(GOOD).replace(b"market", b"country")), MISSING),
        (
            lambda d: d.file("x.csv", d.csv(GOOD).replace(b"market", b"queue")),
            "column 'queue' stands there twice",
        ),
        (lambda d: d.file("x.jsonl", json.dumps([GOOD])), "is one JSON array; write one object a line"),
        (
            lambda d: d.file("x.parquet", gzip.compress(b"PAR1")),
            "is gzipped, and Parquet is compressed inside",
        ),
        (lambda d: d.file("x.xlsx", b"PK"), "kind '.xlsx'; bring .csv, .jsonl or .parquet"),
        (lambda d: str(d.root), "is a directory"),
        (lambda d: str(d.root / "nowhere.csv"), "no such file; check the path"),
        (
            lambda d: d.file("x.csv", "case_id\nc1".encode("utf-16") + b"\x00"),
            "x.csv: cannot be read to its end",
        ),
    ],
    ids=[
        "half Parquet",
        "half gzip",
        "empty CSV",
        "empty JSONL",
        "semicolons",
        "tabs",
        "missing column",
        "column twice",
        "array",
        "gzipped Parquet",
        "spreadsheet",
        "directory",
        "missing file",
        "half UTF-16",
    ],
)
def test_an_unfit_file_is_refused_whole(desk, make, said):
    desk.run("ingest", "decisions", desk.jsonl({**GOOD, "case_id": "earlier"}))
    code, out = desk.run("ingest", "decisions", make(desk))
    assert code == 2 and said in out, out
    assert desk.lake()["case_id"].to_list() == ["earlier"]
    assert not list(open_workspace(desk.root).decisions_dir.glob(".staging*"))


def test_broken_lines_among_good_ones_are_kept(desk):
    bad = ['{"case_id": ', "[1]", "{broken", "[" * 100_000]
    lines = "\n".join([json.dumps(GOOD), *bad, json.dumps({**GOOD, "case_id": "c4"})])
    code, out = desk.run("ingest", "decisions", desk.file("x.jsonl", lines))
    assert code == 0 and "6 rows, 2 added, 0 unchanged, 4 quarantined" in out and "not JSON" in out
    assert desk.quarantine()["row"].to_list() == [2, 3, 4, 5]


def test_a_mapping_renames_columns_and_a_wrong_one_is_named(desk):
    config, was = desk.root / "evenhand.toml", (desk.root / "evenhand.toml").read_text()
    theirs = desk.file("x.csv", desk.csv(GOOD).replace(b"case_id", b"content_id"))
    config.write_text(was + '\n[ingest.decisions]\ncase_id = "content_id"\n')
    code, out = desk.run("ingest", "decisions", theirs)
    assert code == 0 and "1 added" in out
    config.write_text(was + '\n[ingest.decisions]\ncase_id = "contentid"\n')
    code, out = desk.run("ingest", "decisions", theirs)
    assert code == 2 and "no column case_id (mapped to 'contentid'); it has content_id," in out
    config.write_text(was + '\n[ingest.decisions]\ncaseid = "content_id"\n')
    code, out = desk.run("ingest", "decisions", theirs)
    assert code == 2 and "'caseid' is no column of ours" in out


def test_an_unknown_setting_names_the_known_ones(desk):
    config = desk.root / "evenhand.toml"
    config.write_text(config.read_text().replace("kappa", "kapa"))
    code, out = desk.run("ingest", "decisions", desk.jsonl(GOOD))
    assert code == 2 and "evenhand.toml: draw: unknown key 'kapa'; known keys: kappa, floor" in out


def test_rulings_for_cases_never_drawn_are_gold_only_and_it_is_said(desk):
    desk.run("ingest", "decisions", desk.jsonl(GOOD))
    code, out = desk.run("ingest", "rulings", desk.jsonl(RULING, {**RULING, "case_id": "never seen"}))
    assert code == 0 and "2 rulings kept as gold for training; not drawn, so out of error rates" in out
    code, out = desk.run("estimate")
    assert code == 2 and "rulings on cases that were not drawn cannot tell one" in out


def test_rulings_for_a_draw_that_does_not_exist_are_refused(desk):
    code, out = desk.run("ingest", "rulings", "--draw", "draw-1", desk.jsonl(RULING))
    assert code == 2 and "no draw 'draw-1'; known: none yet; make one with `evenhand draw`" in out


def test_a_workspace_and_a_store_of_a_newer_schema_ask_for_an_upgrade(desk):
    with Store.open(open_workspace(desk.root).store_url) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE evenhand_version SET version_num = '9999'")
    code, out = desk.run("ingest", "decisions", desk.jsonl(GOOD))
    assert code == 2 and "store schema 9999 is newer than this Evenhand" in out and "upgrade" in out
    (desk.root / ".evenhand-workspace").write_text("99\n")
    code, out = desk.run("ingest", "decisions", desk.jsonl(GOOD))
    assert code == 2 and "workspace schema 99 is newer than this Evenhand" in out and "upgrade" in out


def test_commands_that_need_a_champion_say_how_to_get_one(desk):
    for words in (("score",), ("flags",), ("draw", "--budget", "10"), ("plan", "--budget", "10")):
        code, out = desk.run(*words)
        assert code == 2 and "no champion yet; run `evenhand train`" in out, words


def _damage_lake(desk: Desk) -> str:
    file = decision_files(open_workspace(desk.root))[0]
    file.write_bytes(file.read_bytes()[:-100])
    return "FAIL lake"


def _damage_store(desk: Desk) -> str:
    for file in desk.root.glob("store.db*"):  # also its log, which would restore it
        file.unlink()
    (desk.root / "store.db").write_text("not a database")
    return "FAIL store"


def _damage_registry(desk: Desk) -> str:
    (desk.root / "registry").mkdir(exist_ok=True)
    (desk.root / "registry" / "mlflow.db").write_text("not a database")
    return "FAIL champion"


def _move_encoder(desk: Desk) -> str:
    config = desk.root / "evenhand.toml"
    config.write_text(config.read_text().replace('"bundled:multilingual-e5-small"', '"./moved-away"'))
    return "FAIL encoder"


@pytest.mark.parametrize("damage", [_damage_lake, _damage_store, _damage_registry, _move_encoder])
def test_the_doctor_names_what_is_broken_and_only_that(desk, damage):
    desk.run("ingest", "decisions", desk.jsonl(GOOD))
    code, out = desk.run("doctor")
    failed = {line.split(":")[0] for line in out.splitlines() if line.startswith("FAIL")}
    assert code == 2 and failed == {"FAIL champion"} and "1 decisions in 1 files" in out
    broken = damage(desk)
    code, out = desk.run("doctor")
    failed = {line.split(":")[0] for line in out.splitlines() if line.startswith("FAIL")}
    assert code == 2 and failed == {"FAIL champion", broken}, out
    assert (broken == "FAIL champion") == ("no champion yet" not in out)


def test_a_damaged_lake_sends_to_the_doctor(desk):
    desk.run("ingest", "decisions", desk.jsonl(GOOD))
    _damage_lake(desk)
    code, out = desk.run("conflicts")
    assert (
        code == 3
        and "a Parquet file of the workspace is damaged" in out
        and "`evenhand doctor` names it" in out
    )


def test_a_folder_that_cannot_be_written_is_named(desk, tmp_path):
    desk.run("ingest", "decisions", desk.jsonl(GOOD))
    (tmp_path / "file").write_text("")
    code, out = desk.run("conflicts", "--out", str(tmp_path / "file" / "x.csv"))
    assert code == 3 and "x.csv: cannot be written" in out and "fix the permissions" in out


def test_an_empty_workspace_says_what_comes_first(desk):
    code, out = desk.run("conflicts")
    assert code == 2 and "no decisions yet; run `evenhand ingest decisions FILE`" in out
    code, out = desk.run("user", "list")
    assert code == 0 and "nobody yet; add one with `evenhand user add NAME --role sme`" in out


def _with_small_disk(desk: Desk, size: int, *words: str) -> subprocess.CompletedProcess[str]:
    """A command whose files cannot grow beyond `size` bytes.

    The system refuses the write, as on a full disk.
    """
    return subprocess.run(
        [sys.executable, "-m", "cli", "-w", str(desk.root), *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_changes_nothing_and_the_next_run_goes_through(desk):
    desk.run("ingest", "decisions", desk.jsonl({**GOOD, "case_id": "earlier"}))
    rows = [{**GOOD, "case_id": f"c{i:05}", "text": f"{i * 7919:x} {i**3:x}"} for i in range(5_000)]
    many = desk.file("many.csv", desk.csv(*rows, {**GOOD, "case_id": "bad", "label": "vile"}))
    done = _with_small_disk(desk, 60_000, "ingest", "decisions", many)
    assert done.returncode == 3, done.stderr
    assert "decisions: cannot be written" in done.stderr and "the lake is as it was; free" in done.stderr
    ws = open_workspace(desk.root)
    assert desk.lake()["case_id"].to_list() == ["earlier"] and not list(ws.decisions_dir.glob(".staging*"))
    code, out = desk.run("ingest", "decisions", many)
    assert code == 0 and "5,000 added, 0 unchanged, 1 quarantined" in out
    assert len(decision_files(ws)) == 2


@pytest.mark.parametrize("words", [("conflicts",), ("conflicts", "--out", "found.csv")])
def test_a_full_disk_leaves_no_half_a_table(desk, tmp_path, words):
    rows = [
        {
            **GOOD,
            "case_id": f"c{i}-{n}",
            "moderator_id": f"m{n}",
            "text": f"case number {i**5:x} in words",
            "label": label,
        }
        for i in range(600)
        for n, label in enumerate(("rude", "rude", "clean"))
    ]
    desk.run("ingest", "decisions", desk.jsonl(*rows))
    out = [str(tmp_path / word) if word.endswith(".csv") else word for word in words]
    done = _with_small_disk(desk, 40_000, *out)
    assert done.returncode == 3 and "cannot be written" in done.stderr, done.stderr
    assert not list(desk.root.glob("*conflicts.parquet*")) and not list(tmp_path.glob("*found*"))
