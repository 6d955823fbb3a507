"""Tests training to scores with real code and tiny weights: registry, clean process, kills, flags, cards."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import polars as pl
import pytest
from mlflow.tracking import MlflowClient
from worlds.small_workspace import copied, small_workspace

import training.finetune
from evenhand.errors import ModelError, PolicyMismatch, TrainingError
from evenhand.flags import top_flags
from evenhand.gold import gold
from evenhand.records.policy import parse_policy
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.files import write_table
from evenhand.workspace.lake import scan_decisions, scan_scores
from models.explain.explanation import explain
from models.registry import Registry
from models.scoring import score
from training.examples import label_examples
from training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory, trained_world):
    made, report = trained_world
    small = copied(made, tmp_path_factory.mktemp("trained"))
    registry = Registry(small.ws)
    yield small, report, registry, registry.load("champion")
    small.store.close()


def some(small, n: int) -> pl.DataFrame:
    return scan_decisions(small.ws).sort("decision_id").head(n).collect()


def test_a_version_carries_what_is_needed_to_judge_it(trained):
    _, report, registry, bundle = trained
    manifest = bundle.manifest
    assert manifest.policy_versions == ("short-video/2026-01", "short-video/2026-02")
    assert manifest.n_rulings == 500 == sum(manifest.gold_counts.values()) == sum(report.parts.values())
    assert manifest.data_hash == report.data_hash and manifest.encoder_revision
    assert set(report.metrics) == {"overall", "language", "area"}
    listed = registry.versions()[0]
    assert listed.aliases == ("champion",) and listed.n_rulings == 500


def test_no_artifact_is_a_pickle(trained):
    small, _, registry, _ = trained
    kinds = {file.suffix for file in registry.folder("champion").rglob("*") if file.is_file()}
    assert kinds == {".safetensors", ".json", ".parquet"}
    assert not [f for f in small.ws.registry_dir.rglob("*") if f.suffix in (".pkl", ".pickle", ".pt", ".bin")]


def test_the_run_of_a_version_names_its_training_set_and_no_text_of_it(trained):
    small, report, *_ = trained
    client = MlflowClient(small.ws.tracking_uri)
    run = client.get_run(client.get_model_version("evenhand", report.version).run_id)
    named = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
    assert [tag.key for one in run.inputs.dataset_inputs for tag in one.tags] == ["mlflow.data.context"] * 2
    kept = {
        file.parent.name: datasets.Dataset.from_file(str(file))
        for file in small.ws.training_dir.glob("*/examples.arrow")
    }
    assert set(named) == {"training", "validation"}
    texts = []
    for dataset in named.values():
        rows = kept[dataset.digest]
        assert json.loads(dataset.profile)["num_rows"] == len(rows) > 0
        assert json.loads(dataset.source)["tags"]["data_hash"] == report.data_hash
        texts += rows["text"][:]
    assert len(kept[named["training"].digest]) > 5 * len(kept[named["validation"].digest])
    database = "\n".join(sqlite3.connect(small.ws.registry_dir / "mlflow.db").iterdump())
    assert "input_ids" in database and not [text for text in texts if text.replace("'", "''") in database]


def test_a_clean_process_with_another_package_called_models_loads_it(trained, tmp_path):
    small, _, _, bundle = trained
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("OTHER = True\n")
    rows = some(small, 5)
    columns = ["decision_id", "text", "area", "language", "policy_version", "label", "moderator_id"]
    rows.select(columns).write_parquet(tmp_path / "rows.parquet")
    code = f"""
import sys; sys.path = [p for p in sys.path if p not in ("", {os.getcwd()!r})]
sys.path.insert(0, {str(tmp_path)!r})
import models; assert models.OTHER
import json, mlflow, pandas as pd
mlflow.set_tracking_uri({small.ws.tracking_uri!r})
model = mlflow.pyfunc.load_model("models:/evenhand@champion")
out = model.predict(pd.read_parquet({str(tmp_path / "rows.parquet")!r}))
print(json.dumps(out["p_overturn"].tolist()))
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    there = json.loads(done.stdout.splitlines()[-1])
    assert np.allclose(there, bundle.judge(rows)["p_overturn"].to_numpy(), atol=1e-3)


def test_scores_are_probabilities_one_for_each_decision(trained):
    small, *_ = trained
    scores, decisions = scan_scores(small.ws, "evenhand-1").collect(), scan_decisions(small.ws).collect()
    assert sorted(scores["decision_id"]) == sorted(decisions["decision_id"])
    assert scores["p_overturn"].is_between(0, 1, closed="none").all()


def test_identical_texts_get_identical_readings_whatever_their_shard(trained):
    small, *_ = trained
    text = scan_decisions(small.ws).select("decision_id", "text").collect()
    scores = scan_scores(small.ws, "evenhand-1").collect().join(text, on="decision_id")
    spread = scores.group_by("text", "area", "policy_version", "label").agg(
        pl.col("p_decided").max() - pl.col("p_decided").min(), n=pl.len()
    )
    assert (spread["n"] > 1).any() and spread["p_decided"].max() < 1e-6


def test_an_uncovered_policy_version_is_refused_or_counted(trained):
    small, _, _, bundle = trained
    foreign = some(small, 3).with_columns(policy_version=pl.lit("other/1"))
    with pytest.raises(PolicyMismatch, match=r"covers policy versions short-video/2026-01.*retrain"):
        bundle.judge(foreign)
    narrow = replace(
        bundle.manifest, heads={k: v for k, v in bundle.manifest.heads.items() if "2026-01" in k}
    )
    half = replace(bundle, manifest=narrow)
    report = score(small.ws, half, "half-1")
    assert report.skipped and report.decisions + sum(report.skipped.values()) == 2_000


def test_flags_rank_by_p_overturn_and_filters_hold(trained, tmp_path):
    small, *_ = trained
    flags = top_flags(small.ws, small.store, "evenhand-1", top=50, include_ruled=True).table
    assert flags["rank"].to_list() == list(range(1, 51))
    assert flags["p_overturn"].to_list() == sorted(flags["p_overturn"], reverse=True)
    thai = top_flags(small.ws, small.store, "evenhand-1", where={"market": "TH"}).table
    markets = scan_decisions(small.ws).select("case_id", "market").collect().unique()
    assert set(thai.join(markets, on="case_id")["market"]) == {"TH"}
    with pytest.raises(ModelError, match="no scores"):
        top_flags(small.ws, small.store, "evenhand-7")
    write_table(flags, tmp_path / "f.parquet")
    assert pl.read_parquet(tmp_path / "f.parquet").equals(flags)


def test_an_explanation_points_into_the_text_and_never_cites_the_case_itself(trained):
    small, _, _, bundle = trained
    rows = some(small, 12)
    for row, card in zip(rows.iter_rows(named=True), explain(bundle, rows), strict=True):
        assert card["sentence"] and 0 < card["p_predicted"] <= 1
        for span in card["spans"]:
            assert 0 <= span["start"] < span["end"] <= len(row["text"]) and -1 <= span["weight"] <= 1
        assert len(card["precedents"]) == 3
        assert all(near["case_id"] != row["case_id"] for near in card["precedents"])
        similar = [near["similarity"] for near in card["precedents"]]
        assert similar == sorted(similar, reverse=True)


def test_odd_texts_are_judged_and_explained(trained):
    small, _, _, bundle = trained
    texts = ["", "😂😂😂", "x" * 100_000, "ก" * 300, "مرحبا " * 50, "\n\t"]
    rows = some(small, len(texts)).with_columns(pl.Series("text", texts))
    assert bundle.judge(rows)["p_overturn"].is_between(0, 1).all()
    assert len(explain(bundle, rows)) == len(texts)


def test_too_few_rulings_say_how_many_are_missing(tmp_path):
    small = small_workspace(tmp_path, decisions=300, rulings=30)
    with pytest.raises(TrainingError, match="30 rulings meet a decision in the lake, 50 are needed"):
        train(small.ws, small.store, by="test")
    small.store.close()


def test_gold_carries_over_where_the_clause_did_not_change(trained):
    from models.labels.classifier import build_heads

    small, *_ = trained
    rows = gold(small.ws, small.store)
    heads, where = build_heads(small.store.policies())
    data = label_examples(rows, small.store.policies(), heads, where).to_pandas()
    carried = data[(data["head"] == "spam@short-video/2026-02") & (data["weight"] < 1)]
    labels = heads["spam@short-video/2026-02"].labels
    assert set(carried["label"]) <= {labels.index("spam"), labels.index("scam")}
    assert len(carried) > 0


def test_an_encoder_or_a_model_that_changed_under_a_version_is_refused(trained):
    small, _, registry, _ = trained
    encoder = Path(small.ws.config.model.encoder)
    weights = registry.folder("champion") / "classifier.safetensors"
    for file, words in (
        (encoder / "model.safetensors", "was trained on"),
        (weights, "not a whole model .* restore it from a backup"),
    ):
        whole = file.read_bytes()
        altered = whole[:-4] + bytes(4) if file.parent == encoder else whole[: len(whole) // 2]
        file.write_bytes(altered)
        try:
            with pytest.raises(ModelError, match=words):
                registry.load("champion")
        finally:
            file.write_bytes(whole)
    assert registry.load("champion").manifest.n_rulings


def test_promote_and_roll_back(trained):
    small, _, registry, _ = trained
    second = train(small.ws, small.store, by="test", seed=11)
    assert second.version == "2" and registry.number("challenger") == "2"
    registry.promote("challenger")
    assert registry.number("champion") == "2" and registry.number("previous") == "1"
    registry.rollback()
    assert registry.number("champion") == "1"
    with pytest.raises(ModelError, match="known: 2, 1"):
        registry.number("9")


def _start(ws, *words: str) -> subprocess.Popen:
    call = [sys.executable, "-m", "cli", "-w", str(ws.root), *words]
    return subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _kill_when(child: subprocess.Popen, happened) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "nothing to interrupt within two minutes"
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()


def test_a_killed_score_goes_on_where_it_stopped(trained):
    small, _, _, bundle = trained
    folder = small.ws.scores_dir / "model=evenhand-2"
    child = _start(small.ws, "score", "--model", "2")
    _kill_when(child, lambda: len(list(folder.glob("day=*/[!.]*.parquet"))) >= 3)
    done = {file: file.stat().st_mtime_ns for file in folder.glob("day=*/[!.]*.parquet")}
    for file in done:
        pl.read_parquet(file)  # the file is whole
    report = score(small.ws, Registry(small.ws).load("2"), "evenhand-2")
    assert report.shards_skipped == len(done) and report.shards_done == 84 - len(done)
    assert all(file.stat().st_mtime_ns == at for file, at in done.items())
    assert scan_scores(small.ws, "evenhand-2").select(pl.len()).collect().item() == 2_000


def test_a_killed_train_goes_on_where_it_stopped(tmp_path):
    small = small_workspace(tmp_path, decisions=1_600, rulings=700, epochs=40)
    child = _start(small.ws, "train")
    _kill_when(child, lambda: bool(list(small.ws.training_dir.glob("*/epoch.safetensors"))))
    report = train(small.ws, small.store, by="test")
    assert any("went on after epoch" in note for note in report.notes)
    assert [row.version for row in Registry(small.ws).versions()] == ["1"]
    small.store.close()


def cut_after_an_epoch(small, monkeypatch) -> Path:
    """The folder of a training run that is interrupted when its first epoch is stored."""
    keep = training.finetune._keep

    def interrupted(*args):
        keep(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.finetune, "_keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(small.ws, small.store, by="test")
    (file,) = small.ws.training_dir.glob("*/epoch.safetensors")
    return file.parent


def add_version(small, **changes: str) -> None:
    """A new policy version: the second one with other words in its text."""
    _, text = sample_policies()[1]
    for before, after in {
        "short-video/2026-02": "short-video/2026-03",
        "2026-02-23": "2026-03-23",
        **changes,
    }.items():
        assert before in text
        text = text.replace(before, after)
    small.store.add_policy(parse_policy(text), text, by="test")


def note_on_checkpoint(report) -> str:
    (note,) = [note for note in report.notes if "checkpoint" in note or "went on" in note]
    return note


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """A small workspace with a training run that stopped after its first epoch, and the folder of the run."""
    small = small_workspace(tmp_path, decisions=800, rulings=300, epochs=2)
    yield small, cut_after_an_epoch(small, monkeypatch)
    small.store.close()


def test_after_a_cut_and_a_new_wording_training_starts_anew_and_old_checkpoints_go(cut):
    small, left = cut
    add_version(small, **{"warning others of scams are allowed": "warning others are allowed"})
    old, young = small.ws.training_dir / "old", small.ws.training_dir / "young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    report = train(small.ws, small.store, by="test")
    assert note_on_checkpoint(report) == (
        "the checkpoint of an earlier run could not be used (other examples, policy wordings), started anew"
    )
    kept = [
        folder.name for folder in small.ws.training_dir.iterdir() if not (folder / "examples.arrow").exists()
    ]
    assert set(kept) == {left.name, "young"}
    assert Registry(small.ws).load(report.version).manifest.policy_versions[-1] == "short-video/2026-03"


def test_after_a_cut_and_a_version_that_rewords_nothing_training_goes_on(cut):
    small, left = cut
    add_version(small, **{"severity: low": "severity: high", "title: Pile-on": "title: Piling on"})
    report = train(small.ws, small.store, by="test")
    assert note_on_checkpoint(report) == "went on after epoch 1 of a run that was cut short"
    assert not left.exists()


def test_after_a_cut_without_a_change_training_goes_on(cut):
    small, left = cut
    report = train(small.ws, small.store, by="test")
    assert note_on_checkpoint(report) == "went on after epoch 1 of a run that was cut short"
    assert not left.exists()


def test_after_a_damaged_checkpoint_training_starts_anew(cut):
    small, left = cut
    file = left / "epoch.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    report = train(small.ws, small.store, by="test")
    assert re.match(
        r"the checkpoint of an earlier run .* \(damaged: .*\), started anew", note_on_checkpoint(report)
    )
    assert not left.exists()


def test_after_a_cut_and_another_learning_rate_training_starts_anew(cut):
    small, _ = cut
    config = small.ws.config
    faster = replace(config, model=replace(config.model, learning_rate=1e-3))
    report = train(replace(small.ws, config=faster), small.store, by="test")
    assert "(other settings), started anew" in note_on_checkpoint(report)
