"""Tests the label models: heads from clauses, saved copies, 8 bits, the character model."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from worlds.tiny_encoder import tiny_encoder

from evenhand.errors import ModelError
from evenhand.synthetic.sample_policies import sample_policies
from models.encoders.bundled_e5 import NAME
from models.encoders.encoder import load_encoder
from models.encoders.int8 import Int8Linear
from models.labels.characters import CharBaseline
from models.labels.classifier import EncoderClassifier, build_heads

POLICIES = [policy for policy, _ in sample_policies()]
HEADS, WHERE = build_heads(POLICIES)


@pytest.fixture
def tiny(tmp_path):
    return load_encoder(tiny_encoder(tmp_path / "encoder"), max_tokens=40)


def test_a_reworded_area_gets_its_own_head_and_the_rest_share_theirs():
    assert WHERE["short-video/2026-01/privacy"] == WHERE["short-video/2026-02/privacy"] == "privacy"
    assert WHERE["short-video/2026-01/spam"] == "spam"
    assert WHERE["short-video/2026-02/spam"] == "spam@short-video/2026-02"
    assert HEADS["spam@short-video/2026-02"].labels[-1] == "engagement_bait"


def test_clauses_alone_put_a_new_label_to_work_before_its_first_ruling():
    model = EncoderClassifier(load_encoder(NAME), HEADS)
    head = "spam@short-video/2026-02"
    labels = HEADS[head].labels
    texts = [
        "comment YES and share this, luck comes to you if you like",
        "type amen and tag friends so that your wish comes true",
        "pay a small fee before you get your prize, profit is sure",
    ]
    p = model.proba(texts, head)
    assert p.shape == (3, 4) and np.allclose(p.sum(1), 1)
    bait = labels.index("engagement_bait")
    assert (p[:2, bait] > 1.2 / 4).all() and p[2].argmax() == labels.index("scam")


@pytest.mark.parametrize("int8", [False, True])
def test_a_saved_classifier_gives_the_same_probabilities(tiny, tmp_path, int8):
    torch.manual_seed(1)
    model = EncoderClassifier(tiny, HEADS)
    with torch.no_grad():
        for tensor in model.trained_tensors().values():
            tensor += 0.05 * torch.randn_like(tensor)
    model.eval()
    if int8:
        model.use_int8()
    model.save(tmp_path / "saved")
    again = EncoderClassifier.load(tmp_path / "saved")
    texts = ["follow for follow", "ชาน้ำผึ้ง", ""]
    assert again.int8 == int8
    for head in HEADS:
        assert np.allclose(model.proba(texts, head), again.proba(texts, head), atol=0.01), head
    assert {f.suffix for f in (tmp_path / "saved").iterdir()} == {".safetensors", ".json"}


def test_int8_changes_probabilities_little(tiny):
    model = EncoderClassifier(tiny, HEADS).eval()
    texts = [f"text number {i} about {w}" for i, w in enumerate(["cake", "links", "trains", "tea"] * 5)]
    before = model.proba(texts, "spam")
    model.use_int8()
    assert np.abs(model.proba(texts, "spam") - before).max() < 0.1


def test_in_8_bits_a_large_value_in_one_text_does_not_blur_another(tiny):
    """One scale for a whole batch would leave only two or three levels for the second token."""
    torch.manual_seed(1)
    linear, x = torch.nn.Linear(32, 8), torch.randn(1, 2, 32)
    x[0, 0, 3] = 1_000.0
    eight = Int8Linear(linear)
    with torch.inference_mode():
        exact, got = linear(x), eight(x)
        assert float((got - exact)[0, 1].abs().max()) < 0.02
        assert torch.equal(got[0, 1], eight(x[:, 1:])[0, 0])
        assert float((got - exact)[0, 0].abs().max()) < 0.02 * float(exact[0, 0].abs().max())


def test_another_base_encoder_is_refused(tiny, tmp_path):
    EncoderClassifier(tiny, HEADS).save(tmp_path / "saved")
    manifest = tmp_path / "saved" / "classifier.json"
    raw = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**raw, "revision": "0123"}))
    with pytest.raises(ModelError, match="restore that encoder or retrain"):
        EncoderClassifier.load(tmp_path / "saved")


def test_weights_that_do_not_fit_are_refused(tiny, tmp_path):
    few = {key: HEADS[key] for key in list(HEADS)[:2]}
    EncoderClassifier(tiny, few).save(tmp_path / "saved")
    manifest = tmp_path / "saved" / "classifier.json"
    raw = json.loads(manifest.read_text())
    raw["heads"].append(dataclasses.asdict(HEADS["privacy"]))
    manifest.write_text(json.dumps(raw))
    with pytest.raises(ModelError, match="does not fit"):
        EncoderClassifier.load(tmp_path / "saved")


def test_an_unknown_head_lists_the_known_ones(tiny):
    with pytest.raises(ModelError, match="the model has harassment"):
        EncoderClassifier(tiny, HEADS).proba(["x"], "nothing")


def _rows():
    spam = ["follow me and I follow you back", "link in bio, best shop", "follow for follow everyone"]
    fine = ["here is the cake I baked", "which dance should I learn", "morning run with friends"]
    texts = (spam + fine) * 5
    labels = np.array(([1] * 3 + [0] * 3) * 5)
    return texts, ["spam"] * len(texts), labels, np.ones(len(texts))


def test_the_character_baseline_learns_and_comes_back_as_saved(tmp_path):
    model = CharBaseline(HEADS).fit(*_rows())
    p = model.proba(["follow me back", "cake with friends"], "spam")
    assert p.shape == (2, 3) and np.allclose(p.sum(1), 1)
    assert p[0].argmax() == 1 and p[1].argmax() == 0
    assert 0 < p[:, 2].max() < 0.1  # a label without rows is rare, not impossible
    model.save(tmp_path)
    assert np.allclose(
        CharBaseline.load(tmp_path).proba(["follow me back", ""], "spam"),
        model.proba(["follow me back", ""], "spam"),
        atol=1e-3,
    )


def test_a_head_without_rows_answers_evenly():
    p = CharBaseline(HEADS).fit(*_rows()).proba(["anything"], "privacy")
    assert np.allclose(p, 0.5)


def test_weights_count():
    texts, heads, labels, _ = _rows()
    heavy = CharBaseline(HEADS).fit(texts, heads, labels, np.where(labels == 1, 10.0, 0.1))
    light = CharBaseline(HEADS).fit(texts, heads, labels, np.where(labels == 1, 0.1, 10.0))
    assert heavy.proba(["nothing known"], "spam")[0, 1] > light.proba(["nothing known"], "spam")[0, 1]
