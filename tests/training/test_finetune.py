"""Tests fine-tuning: it lowers the loss, keeps the best weights, and can be stopped and continued."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from worlds.tiny_encoder import tiny_encoder

from evenhand.errors import TrainingError
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.config import ModelConfig
from models.encoders.encoder import load_encoder
from models.labels.classifier import EncoderClassifier, build_heads
from training import finetune as module
from training.examples import FEATURES
from training.finetune import batches, finetune, log_loss
from training.training_set import TrainingSet, training_set

HEADS, _ = build_heads([policy for policy, _ in sample_policies()])
WORDS = {0: ["cake", "run", "song"], 1: ["follow", "link", "bio"]}


def examples(n: int, seed: int, **columns) -> datasets.Dataset:
    """Texts of two kinds with the label of their kind; `columns` replace other columns."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    texts = [" ".join(rng.choice(WORDS[int(label)], 3)) for label in labels]
    given = {"text": texts, "head": ["spam"] * n, "label": labels, "weight": np.ones(n), "place": range(n)}
    return datasets.Dataset.from_dict({**given, **columns}, features=FEATURES)


def read_by(model: EncoderClassifier, data: datasets.Dataset) -> TrainingSet:
    """`data` as the model's encoder reads it, kept beside the encoder."""
    return training_set(data, model.encoder, Path(model.encoder.name).with_suffix(".sets"))


def tuned(model: EncoderClassifier, train: datasets.Dataset, validation: datasets.Dataset, **settings):
    return finetune(model, read_by(model, train), read_by(model, validation), **settings)


def a_model(folder: Path) -> EncoderClassifier:
    torch.manual_seed(0)
    return EncoderClassifier(load_encoder(tiny_encoder(folder)), HEADS)


CONFIG = ModelConfig(epochs=4, batch_size=8, learning_rate=1e-3, head_learning_rate=1e-2, patience=9)


def test_training_lowers_the_loss_and_keeps_the_best_weights(tmp_path):
    model, held = a_model(tmp_path / "e"), examples(40, 2)
    report = tuned(model, examples(120, 1), held, config=CONFIG, seed=1)
    assert min(report.validation_loss) < 0.5 * report.validation_loss[0]
    assert log_loss(model, read_by(model, held)) == pytest.approx(min(report.validation_loss), rel=1e-4)
    assert report.best_epoch == int(np.argmin(report.validation_loss))


def test_frozen_embeddings_stay_as_they_were(tmp_path):
    model = a_model(tmp_path / "e")
    before = model.body.embeddings.word_embeddings.weight.clone()
    tuned(model, examples(40, 1), examples(20, 2), config=CONFIG, seed=1)
    assert torch.equal(before, model.body.embeddings.word_embeddings.weight)


def test_training_stops_when_nothing_is_gained(tmp_path):
    config = ModelConfig(epochs=9, batch_size=8, learning_rate=1.0, head_learning_rate=1.0, patience=1)
    report = tuned(a_model(tmp_path / "e"), examples(40, 1), examples(20, 2), config=config, seed=1)
    assert len(report.train_loss) < 9


def test_weight_zero_teaches_nothing(tmp_path):
    model, half = a_model(tmp_path / "e"), np.arange(300) % 2 == 0
    labels = np.array(examples(300, 1)["label"])
    wrong = examples(300, 1, label=np.where(half, labels, 1 - labels), weight=np.where(half, 1.0, 0.0))
    tuned(model, wrong, examples(30, 2), config=CONFIG, seed=1)
    held = examples(30, 3)
    right = model.proba(held["text"][:], "spam")[:, :2].argmax(1) == np.array(held["label"])
    assert right.mean() > 0.9


def test_batches_hold_every_example_once_and_alike_in_length():
    lengths = np.random.default_rng(0).integers(1, 100, 333)
    found = list(batches(lengths, 16, np.random.default_rng(1)))
    assert sorted(i for places in found for i in places) == list(range(333))
    spread = [lengths[places].max() - lengths[places].min() for places in found]
    assert np.mean(spread) < 20


def test_no_examples_say_so(tmp_path):
    with pytest.raises(TrainingError, match="no training examples"):
        tuned(a_model(tmp_path / "e"), examples(0, 1), examples(5, 2), config=CONFIG, seed=1)


_CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
import test_finetune as t
import training.finetune as f
keep = f._keep
def slow(*args):
    keep(*args)
    if args[2].epoch == 2:
        print("kept", flush=True)
        import time
        time.sleep(60)
f._keep = slow
model = t.a_model(Path(sys.argv[2]))
t.tuned(model, t.examples(60, 1), t.examples(30, 2), config=t.CONFIG, seed=1, checkpoints=Path(sys.argv[3]))
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tmp_path):
    whole = a_model(tmp_path / "whole")
    tuned(whole, examples(60, 1), examples(30, 2), config=CONFIG, seed=1)
    call = [
        sys.executable,
        "-c",
        _CHILD,
        str(Path(__file__).parent),
        str(tmp_path / "child"),
        str(tmp_path / "c"),
    ]
    child = subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert child.stdout is not None and child.stdout.readline().strip() == "kept"
    time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    resumed = a_model(tmp_path / "again")
    report = tuned(
        resumed, examples(60, 1), examples(30, 2), config=CONFIG, seed=1, checkpoints=tmp_path / "c"
    )
    assert report.resumed_at_epoch == 2 and len(report.train_loss) == 4
    for name, tensor in whole.trained_tensors().items():
        assert torch.allclose(tensor, resumed.trained_tensors()[name], atol=1e-6), name


def cut_after(epoch: int, monkeypatch, folder: Path, root: Path) -> Path:
    """The file of a run that is interrupted when `epoch` is stored under `root`."""
    keep = module._keep

    def interrupted(*args):
        keep(*args)
        if args[2].epoch == epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(folder, root)
    (file,) = root.glob("*/epoch.safetensors")
    return file


def run(folder: Path, root: Path, **changes):
    """Train the same model on the same examples, with `changes`."""
    asked = {"train": examples(60, 1), "validation": examples(30, 2), "config": CONFIG, "seed": 1, **changes}
    model = asked.pop("model", None) or a_model(folder)
    return tuned(model, asked.pop("train"), asked.pop("validation"), checkpoints=root, **asked)


def reworded() -> dict:
    spec = HEADS["spam"]
    return {**HEADS, "spam": replace(spec, clauses=(*spec.clauses[:-1], "Another clause altogether."))}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("learning_rate", "other settings"),
        ("head_learning_rate", "other settings"),
        ("batch_size", "other settings"),
        ("epochs", "other settings"),
        ("patience", "other settings"),
        ("text", "other examples"),
        ("weight", "other examples"),
        ("label", "other examples"),
        ("validation", "other examples"),
        ("clause", "other policy wordings"),
        ("max_tokens", "other encoder"),
    ],
)
def test_a_checkpoint_of_something_else_is_not_gone_on_from(tmp_path, monkeypatch, change, word):
    cut_after(2, monkeypatch, tmp_path / "e", tmp_path / "c")
    train = examples(60, 1).to_dict()
    encoder = load_encoder(tiny_encoder(tmp_path / "e"), max_tokens=32 if change == "max_tokens" else 128)
    torch.manual_seed(0)
    changes = {
        "text": {"train": examples(60, 1, text=[*train["text"][:-1], "cake"])},
        "weight": {"train": examples(60, 1, weight=np.full(60, 0.5))},
        "label": {"train": examples(60, 1, label=[1 - label for label in train["label"]])},
        "validation": {"validation": examples(30, 3)},
        "clause": {"model": EncoderClassifier(encoder, reworded())},
        "max_tokens": {"model": EncoderClassifier(encoder, HEADS)},
    }.get(change) or {"config": replace(CONFIG, **{change: 2 * getattr(CONFIG, change)})}
    report = run(tmp_path / "e", tmp_path / "c", **changes)
    assert report.resumed_at_epoch == 0 and report.not_resumed == word
    assert len(report.validation_loss) == len(report.train_loss) + 1 > 3


def test_settings_that_do_not_touch_the_weights_let_a_run_go_on(tmp_path, monkeypatch):
    cut_after(2, monkeypatch, tmp_path / "e", tmp_path / "c")
    config = replace(CONFIG, int8=False, threads=1, moderator_history=False)
    report = run(tmp_path / "another place", tmp_path / "c", config=config)
    assert report.resumed_at_epoch == 2 and not report.not_resumed


def test_a_run_with_another_seed_says_nothing_of_a_checkpoint(tmp_path, monkeypatch):
    cut_after(2, monkeypatch, tmp_path / "e", tmp_path / "c")
    report = run(tmp_path / "e", tmp_path / "c", seed=2)
    assert report.resumed_at_epoch == 0 and not report.not_resumed
    assert len(list((tmp_path / "c").iterdir())) == 2


def test_without_resume_a_run_starts_from_the_beginning(tmp_path, monkeypatch):
    cut_after(2, monkeypatch, tmp_path / "e", tmp_path / "c")
    report = run(tmp_path / "e", tmp_path / "c", resume=False)
    assert report.resumed_at_epoch == 0 and len(report.train_loss) == 4 and not report.not_resumed


def altered(file: Path, damage: str) -> None:
    with safe_open(file, "pt") as there:
        facts = json.loads(there.metadata()["facts"])
    tensors, metadata = load_file(file), {"facts": json.dumps(facts)}
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "no tensors":
        file.write_text("not tensors at all, only a few words")
    elif damage == "a folder":
        file.unlink()
        file.mkdir()
    else:
        if damage == "another shape":
            tensors["now.weights.0"] = tensors["now.weights.0"][:-1].clone()
        elif damage == "another shape of the optimizer":
            tensors["adam.0.exp_avg"] = torch.zeros(3)
        elif damage == "a tensor is missing":
            del tensors["best.biases.0"]
        elif damage == "garbage facts":
            metadata = {"facts": "{half"}
        elif damage == "no facts":
            metadata = {}
        elif damage == "losses are missing":
            metadata = {"facts": json.dumps({**facts, "train_loss": [0.1]})}
        elif damage == "an epoch is no number":
            metadata = {"facts": json.dumps({**facts, "epoch": None})}
        save_file(tensors, file, metadata=metadata)


@pytest.mark.parametrize(
    "damage",
    [
        "cut",
        "empty",
        "no tensors",
        "a folder",
        "another shape",
        "another shape of the optimizer",
        "a tensor is missing",
        "garbage facts",
        "no facts",
        "losses are missing",
        "an epoch is no number",
    ],
)
def test_a_damaged_checkpoint_means_a_new_start_that_ends_like_an_unbroken_run(tmp_path, monkeypatch, damage):
    whole = a_model(tmp_path / "e")
    run(tmp_path / "e", tmp_path / "other", model=whole)
    altered(cut_after(2, monkeypatch, tmp_path / "e", tmp_path / "c"), damage)
    again = a_model(tmp_path / "e")
    report = run(tmp_path / "e", tmp_path / "c", model=again)
    assert report.resumed_at_epoch == 0 and len(report.train_loss) == 4
    assert report.not_resumed.startswith("other version" if damage == "no facts" else "damaged: ")
    for name, tensor in whole.trained_tensors().items():
        assert torch.allclose(tensor, again.trained_tensors()[name], atol=1e-6), name
