"""Tests the comparison of champion and challenger on rulings that are new to both.

Also tested are the gate, the commands and the page.
"""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import click.testing
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest
from worlds.small_workspace import small_workspace

from cli.main import evenhand, main
from evenhand.batches.draw import make_draw
from evenhand.errors import ModelError
from evenhand.gold import gold
from evenhand.ingest import ingest_rulings
from evenhand.records.people import User
from evenhand.records.ruling import Ruling
from evenhand.similar.groups import groups, marks, unseen
from evenhand.synthetic import generate
from models import promotion
from models.compare import versions as compare
from models.compare.paired_slices import Difference, Slice
from models.compare.versions import Checked, Comparison, check, kept
from models.known_cases import load_known_cases, save_known_cases
from models.registry import Registry
from models.scoring import score
from training.train import train


def test_known_cases_are_read_from_where_earlier_versions_keep_them(tmp_path):
    assert load_known_cases(tmp_path) is None
    marked = marks(["a text", "another"], [None, "a talk"])
    pl.DataFrame({"mark": sorted(marked)}).write_parquet(tmp_path / "learned.parquet")
    assert load_known_cases(tmp_path) == marked
    save_known_cases(marked, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["learned.parquet"]


def test_new_are_the_cases_whose_whole_group_was_never_met():
    texts = ["a b", "A  b!", "c d", "e f", "g h", "Ｇ h"]
    named = [None, "talk", "talk", None, None, "other"]
    group = groups(texts, named)
    assert unseen(texts, named, group, frozenset()).all()
    # the second is a near-copy of the first, the third shares a conversation with the second
    met = marks(["a-b"], [None])
    assert unseen(texts, named, group, met).tolist() == [False, False, False, True, True, True]
    assert unseen(texts, named, group, marks(["else"], ["other"])).tolist() == [True] * 4 + [False] * 2
    assert marks(["talk"], [None]).isdisjoint(marks(["x"], ["talk"]))


def a_slice(
    by="language", name="th", verdict="level", ap=(0.0, -0.05, 0.05), brier=(0.0, -0.01, 0.01)
) -> Slice:
    metrics = {
        metric: Difference(champion=0.5, challenger=0.5 + at, difference=at, low=low, high=high)
        for metric, (at, low, high) in {"ap": ap, "auroc": ap, "lift_at_5": ap, "brier": brier}.items()
    }
    found = {} if verdict == "too few" else metrics
    return Slice(by=by, name=name, n=100, overturned=20, verdict=verdict, metrics=found)


def a_comparison(*languages: Slice, overall: Slice | None = None) -> Comparison:
    return Comparison(
        challenger="evenhand-2",
        champion="evenhand-1",
        made_at="2026-03-30T10:00:00+00:00",
        n=100,
        overturned=20,
        drawn=0,
        slices=(overall or a_slice("overall", "all"), *languages),
        unweighted=None,
        notes=(),
    )


def test_the_verdict_names_where_it_is_worse():
    found = a_comparison(
        a_slice(name="en", verdict="better", ap=(0.05, 0.02, 0.08)),
        a_slice(name="es", verdict="too few"),
        a_slice(name="th", verdict="worse", ap=(-0.08, -0.14, -0.02)),
        overall=a_slice("overall", "all", "better", ap=(0.03, 0.01, 0.05)),
    )
    assert found.verdict == (
        "overall better (AP +0.03, +0.01 to +0.05); better in 1 language, level in 0, worse in 1 (th: AP -0.08, -0.14 to"
        " -0.02), too few in 1; probabilities level (Brier +0.000, -0.010 to +0.010)"
    )
    assert found.losses == ("th: AP -0.08, -0.14 to -0.02",)
    assert "Thai: AP -0.08" in found.told({"th": "Thai"}) and found.lost({"th": "Thai"})[0].startswith("Thai")


def test_little_evidence_and_a_worse_area_refuse_nobody_but_a_worse_whole_does():
    few = a_comparison(a_slice(verdict="too few"), overall=a_slice("overall", "all", "too few"))
    assert few.losses == () and few.verdict.startswith(
        "overall too few (100 rulings, 20 overturned); better in 0"
    )
    assert a_comparison(a_slice("area", "spam", "worse", ap=(-0.2, -0.3, -0.1))).losses == ()
    assert a_comparison(overall=a_slice("overall", "all", "worse", ap=(-0.2, -0.3, -0.1))).losses == (
        "overall (AP -0.20, -0.30 to -0.10)",
    )
    blunt = a_comparison(overall=a_slice("overall", "all", brier=(0.02, 0.01, 0.03)))
    assert blunt.losses == ("its probabilities (Brier +0.020, +0.010 to +0.030)",)


# --- with trained versions


class Rivals:
    """Four versions, trained on 400 rulings; 1,100 more rulings came later.

    1 is the champion; 2 has another seed and is not worse; 3 is 1 with the ranking reversed; 4 is 2 in the
    form in which old versions were stored.
    """

    def __init__(self, root: Path) -> None:
        small = small_workspace(root, decisions=3_000, rulings=400)
        self.root, self.ws, self.store = root, small.ws, small.store
        for role in ("ml", "sme"):
            self.store.add_user(User(user_id=role, role=role))
        self.registry = Registry(self.ws)
        for seed in (3, 11):
            train(self.ws, self.store, by="test", seed=seed)
        self.registry.promote("1")
        turned = self.registry.load("1")
        turned.flagger.slope *= -1
        self.register(turned, "turned", load_known_cases(self.registry.folder("1")))
        self.register(self.registry.load("2"), "old", None)

    def register(self, bundle, name: str, learned: frozenset[str] | None) -> None:
        folder = self.root / name
        bundle.save(folder)
        if learned is not None:
            save_known_cases(learned, folder)
        versions = bundle.manifest.policy_versions
        self.registry.register(folder, params={}, metrics={}, policy_versions=versions, inputs={})

    def rule_more(self) -> None:
        generate(seed=3, decisions=3_000, rulings=1_500, out_dir=self.root / "more")
        ingest_rulings(self.ws, self.store, self.root / "more" / "rulings.csv.gz", by="test")

    def run(self, *words: str) -> click.testing.Result:
        return click.testing.CliRunner().invoke(evenhand, ["-w", str(self.ws.root), *words])

    def again(self) -> None:
        """Make the first version champion again."""
        self.registry.promote("1")


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """The versions before any new ruling."""
    found = Rivals(tmp_path_factory.mktemp("rivals"))
    yield found
    found.store.close()


@pytest.fixture(scope="module")
def early(taught):
    """The comparison before any new ruling; the new rulings are added after it."""
    before = check(taught.ws, taught.store, taught.registry, "2", "champion")
    taught.rule_more()
    return before


@pytest.fixture
def rivals(taught, early):
    taught.again()
    return taught


@pytest.mark.slow
def test_only_the_test_part_is_new_at_first_and_that_is_too_little(rivals, early):
    rows = early.comparison
    assert rows.n < 60 and rows.overall.verdict == "too few" and rows.losses == ()
    assert {s.verdict for s in rows.slices} == {"too few"}
    assert kept(rivals.ws, rivals.store, "evenhand-2", "evenhand-1") != early  # there are new rulings since


@pytest.mark.slow
def test_both_judge_the_same_rulings_that_neither_has_learned_from(rivals):
    found = check(rivals.ws, rivals.store, rivals.registry, "2", "champion").comparison
    rows = gold(rivals.ws, rivals.store)
    texts, named = rows["text"].to_list(), rows["conversation_id"].to_list()
    learned = load_known_cases(rivals.registry.folder("1")) | load_known_cases(rivals.registry.folder("2"))
    new = rows.filter(pl.Series(unseen(texts, named, groups(texts, named), learned)))
    assert found.n == new.height > 1_000 and found.overturned == (new["label"] != new["ruled_label"]).sum()
    assert {s.name: s.n for s in found.slices if s.by == "language"} == dict(
        new.group_by("language").len().iter_rows()
    )
    wrong = (new["label"] != new["ruled_label"]).to_numpy().astype(float)
    p = rivals.registry.load("2").judge(new)["p_overturn"].to_numpy()
    assert found.overall.metrics["brier"].challenger == pytest.approx(((p - wrong) ** 2).mean(), abs=1e-4)
    assert found.unweighted is None and "no ruling was drawn" in found.notes[0]


@pytest.mark.slow
def test_a_version_is_level_with_itself(rivals):
    found = check(rivals.ws, rivals.store, rivals.registry, "champion", "champion").comparison
    assert found.losses == () and "better in 0 languages" in found.verdict and "worse in 0" in found.verdict
    assert {s.verdict for s in found.slices} == {"level", "too few"} and found.overall.verdict == "level"
    assert all(d.difference == d.low == d.high == 0 for s in found.slices for d in s.metrics.values())


@pytest.mark.slow
def test_a_comparison_is_kept_until_a_ruling_is_new(rivals, monkeypatch):
    first = check(rivals.ws, rivals.store, rivals.registry, "3", "1")
    monkeypatch.setattr(Registry, "load", lambda *_: pytest.fail("judged again"))
    assert check(rivals.ws, rivals.store, rivals.registry, "3", "1") == first
    assert kept(rivals.ws, rivals.store, "evenhand-3", "evenhand-1") == first
    monkeypatch.setattr(compare, "__version__", "another")
    assert kept(rivals.ws, rivals.store, "evenhand-3", "evenhand-1") is None


@pytest.mark.slow
def test_a_version_from_before_says_why_it_cannot_be_compared_and_passes_with_a_note(rivals):
    done = rivals.run("models", "compare", "4")
    assert isinstance(done.exception, ModelError) and done.exception.exit_code == 2
    assert "evenhand-4 was trained before versions kept which rulings" in str(done.exception)
    assert rivals.run("models", "promote", "4", "--note", "first of the new").exit_code == 0
    note = rivals.store.live_models()[-1].note
    assert note.startswith("first of the new (evenhand-4 was trained before")


@pytest.mark.slow
def test_a_policy_version_that_only_one_covers_is_left_out_and_named(rivals):
    bundle = rivals.registry.load("2")
    heads = {key: head for key, head in bundle.manifest.heads.items() if "2026-01" in key}
    narrow = replace(bundle, manifest=replace(bundle.manifest, heads=heads))
    rivals.register(narrow, "narrow", load_known_cases(rivals.registry.folder("2")))
    found = check(rivals.ws, rivals.store, rivals.registry, "1", "challenger").comparison
    whole = check(rivals.ws, rivals.store, rivals.registry, "2", "champion").comparison
    by_version = {s.name: s.n for s in whole.slices if s.by == "policy_version"}
    assert found.n == by_version["short-video/2026-01"]
    left = by_version["short-video/2026-02"]
    assert (
        f"{left} rulings under short-video/2026-02 are left out: only evenhand-1 covers them" in found.notes
    )


@pytest.mark.slow
def test_nothing_new_is_said(rivals, tmp_path):
    everything = gold(rivals.ws, rivals.store)
    known = marks(everything["text"].to_list(), everything["conversation_id"].to_list())
    rivals.register(rivals.registry.load("2"), "knows_all", known)
    found = check(rivals.ws, rivals.store, rivals.registry, "challenger", "champion")
    assert (
        found.comparison is None
        and "has learned from every ruling there is; rule on new decisions" in found.said
    )


@pytest.mark.slow
def test_the_command_compares_in_words_and_as_json(rivals):
    done = rivals.run("models", "compare", "2")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[1].startswith("evenhand-2 less evenhand-1 on ") and "overturned  verdict" in lines[2]
    found = json.loads(rivals.run("models", "compare", "2", "--with", "1", "--json").stdout)
    assert found["challenger"] == "evenhand-2" and found["slices"][0]["metrics"]["ap"]["high"] > 0
    assert found["verdict"] == lines[0] and found["losses"] == []


@pytest.mark.slow
def test_a_worse_version_is_refused_and_promoted_only_with_a_reason(rivals, monkeypatch, capsys):
    lines = len(rivals.store.live_models())
    call = ["-w", str(rivals.ws.root), "models", "promote", "3"]
    assert main(call) == 2
    said = capsys.readouterr().err
    assert "evenhand-3 is worse than the champion evenhand-1 beyond the interval: overall (AP -" in said
    assert "id: AP -" in said and "--anyway --note" in said and "evenhand models compare evenhand-3" in said
    assert rivals.registry.champion() == "1" and len(rivals.store.live_models()) == lines
    assert main([*call, "--anyway"]) == 2 and "--anyway needs a reason" in capsys.readouterr().err
    assert rivals.registry.champion() == "1"
    assert main([*call, "--anyway", "--note", "a drill"]) == 0
    assert rivals.registry.champion() == "3"
    note = rivals.store.live_models()[-1].note
    assert note.startswith("a drill (anyway: worse in overall (AP -") and "id: AP -" in note


@pytest.mark.slow
def test_a_version_that_is_no_worse_goes_live_and_the_ledger_keeps_the_verdict(rivals):
    verdict = check(rivals.ws, rivals.store, rivals.registry, "2", "champion").said
    assert rivals.run("models", "promote", "2").exit_code == 0
    assert rivals.store.live_models()[-1].note == f"promoted ({verdict})"
    assert rivals.run("models", "rollback").exit_code == 0
    assert rivals.registry.champion() == "1" and rivals.store.live_models()[-1].note == "rolled back"


@pytest.mark.slow
def test_a_damaged_champion_can_be_replaced_with_a_reason_and_a_damaged_version_never_goes_live(rivals):
    (rivals.ws.registry_dir / "comparisons" / "evenhand-2-against-evenhand-1.json").unlink(missing_ok=True)
    (rivals.ws.registry_dir / "comparisons" / "evenhand-1-against-evenhand-2.json").unlink(missing_ok=True)
    weights = rivals.registry.folder("1") / "classifier.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    try:
        refused = rivals.run("models", "promote", "2", "--note", "the disk failed")
        assert isinstance(refused.exception, ModelError) and "not a whole model" in str(refused.exception)
        assert rivals.registry.champion() == "1"
        assert rivals.run("models", "promote", "2", "--anyway", "--note", "the disk failed").exit_code == 0
        note = rivals.store.live_models()[-1].note
        assert rivals.registry.champion() == "2" and note.startswith("the disk failed (not compared: ")
        back = rivals.run("models", "promote", "1", "--anyway", "--note", "back")
        assert isinstance(back.exception, ModelError) and rivals.registry.champion() == "2"
    finally:
        weights.write_bytes(whole)


@pytest.mark.slow
def test_the_first_champion_is_compared_with_nothing(taught, monkeypatch):
    monkeypatch.setattr(Registry, "champion", lambda _: None)
    monkeypatch.setattr(Registry, "load", lambda *_: pytest.fail("a model was loaded"))
    found = promotion.check_promotion(taught.ws, taught.store, taught.registry, "2")
    assert found == promotion.FIRST and found.losses == ()


@pytest.mark.slow
def test_a_champion_that_changed_since_the_comparison_is_noticed(rivals):
    checked = check(rivals.ws, rivals.store, rivals.registry, "2", "champion")
    rivals.registry.promote("4")
    with pytest.raises(
        ModelError, match="evenhand-1 is no longer champion; compare evenhand-2 with the present"
    ):
        promotion.promote(
            rivals.registry, rivals.store, "2", checked, by="test", at=datetime.now(UTC), note="late"
        )
    assert rivals.registry.champion() == "4"


# --- the page


def _models() -> None:
    import streamlit as st

    from app import session
    from app.views import models
    from evenhand.errors import UserError

    session.sign_in()
    try:
        models.page()
    except UserError as problem:
        st.error(str(problem))


@pytest.fixture
def page(rivals, monkeypatch):
    monkeypatch.setenv("EVENHAND_WORKSPACE", str(rivals.ws.root))
    monkeypatch.setenv("EVENHAND_USER", "ml")

    def choose(number: int) -> AppTest:
        at = AppTest.from_function(_models, default_timeout=120).run()
        chosen = next(v for v in at.selectbox[0].options if v.split()[0] == f"evenhand-{number}")
        return run(at.selectbox[0].select(chosen))

    return choose


def run(element) -> AppTest:
    at = element.run()
    assert not at.exception, at.exception
    return at


def table(at: AppTest) -> pl.DataFrame:
    return next(pl.from_pandas(d.value) for d in at.dataframe if "Verdict" in d.value.columns)


@pytest.mark.slow
def test_the_page_compares_when_asked_and_shows_verdict_and_table(rivals, page):
    (rivals.ws.registry_dir / "comparisons" / "evenhand-2-against-evenhand-1.json").unlink(missing_ok=True)
    at = page(2)
    assert "Not compared yet" in at.info[0].value and at.button(key="promote").disabled
    at = run(at.button(key="compare").click())
    shown, found = table(at), check(rivals.ws, rivals.store, rivals.registry, "2", "1").comparison
    [said] = [box.value for kind in ("success", "info", "warning") for box in at.get(kind)]
    assert said.lower() == f"**{found.verdict}.**".lower() and not at.get("button")[0].label.startswith(
        "Compare"
    )
    assert shown.height == len(found.slices) and shown["Slice"][0] == "All decisions"
    thai = shown.row(by_predicate=pl.col("Slice") == "Thai", named=True)
    expected = next(s for s in found.slices if s.name == "th")
    assert thai["Decisions"] == expected.n and thai["Verdict"] == expected.verdict.capitalize()
    assert set(shown["By"]) == {"Overall", "Language", "Area", "Policy version"}


@pytest.mark.slow
def test_promoting_on_the_page_obeys_the_same_gate(rivals, page):
    check(rivals.ws, rivals.store, rivals.registry, "3", "1")
    at = page(3)
    assert at.warning[0].value.startswith("**Overall worse (AP -")
    at = run(at.text_input(key="promote_note").input("a drill on the page"))
    at = run(at.checkbox(key="promote_sure").check())
    assert at.button(key="promote").disabled
    at = run(at.checkbox(key="promote_anyway").check())
    assert not at.button(key="promote").disabled
    run(at.button(key="promote").click())
    assert rivals.registry.champion() == "3"
    line = rivals.store.live_models()[-1]
    assert line.by == "ml" and line.note.startswith("a drill on the page (anyway: worse in overall")


@pytest.mark.slow
def test_a_version_that_is_no_worse_needs_no_anyway_on_the_page(rivals, page):
    check(rivals.ws, rivals.store, rivals.registry, "2", "1")
    at = page(2)
    assert not [box for box in at.checkbox if box.key == "promote_anyway"]
    at = run(at.text_input(key="promote_note").input("as good, newer"))
    assert at.button(key="promote").disabled
    at = run(at.checkbox(key="promote_sure").check())
    run(at.button(key="promote").click())
    assert rivals.registry.champion() == "2"


@pytest.mark.slow
def test_the_page_says_why_a_version_from_before_cannot_be_compared(rivals, page):
    check(rivals.ws, rivals.store, rivals.registry, "4", "1")
    assert page(4).info[0].value.startswith("Cannot be compared: evenhand-4 was trained before")


@pytest.mark.slow
def test_the_champion_is_beside_nobody(rivals, page):
    at = page(1)
    assert not [d for d in at.dataframe if "Verdict" in d.value.columns] and at.button(key="promote").disabled


# --- drawn rulings: last, because they change the world


@pytest.mark.slow
def test_drawn_rulings_count_with_their_weight_and_once(rivals):
    score(rivals.ws, rivals.registry.load("1"), "evenhand-1")
    drawn = make_draw(
        rivals.ws,
        rivals.store,
        budget=150,
        until=date(2026, 3, 30),
        at=datetime(2026, 4, 1, tzinfo=UTC),
        kappa=1.0,
        seed=1,
        model="evenhand-1",
        by="test",
    )
    truth = pl.read_parquet(rivals.root / "more" / "truth.parquet").select("decision_id", "true_label")
    items = rivals.store.items(drawn.draw_id).join(truth, on="decision_id", validate="1:1")
    rivals.store.add_rulings(
        [
            Ruling(
                case_id=item["case_id"],
                area=item["area"],
                policy_version=item["policy_version"],
                label=item["true_label"],
                sme_id="sme",
                ruled_at=datetime(2026, 4, 2, tzinfo=UTC),
                decision_moderator_id=item["moderator_id"],
                draw_id=drawn.draw_id,
                error_class=rivals.store.policy(item["policy_version"])
                .area(item["area"])
                .error_class(item["label"], item["true_label"]),
            )
            for item in items.iter_rows(named=True)
        ],
        by="test",
    )
    found = check(rivals.ws, rivals.store, rivals.registry, "2", "champion").comparison
    assert 100 < found.drawn <= 150 < found.n
    assert f"{found.drawn} of {found.n} rulings were drawn and count with 1 / inclusion" in found.notes[0]
    assert found.unweighted.n == found.overall.n
    weighted, once = found.overall.metrics["brier"], found.unweighted.metrics["brier"]
    assert weighted.champion != pytest.approx(once.champion, abs=1e-6)
    assert "every ruling counted once: " in rivals.run("models", "compare", "2").output
    assert Checked(comparison=found) == kept(rivals.ws, rivals.store, "evenhand-2", "evenhand-1")
