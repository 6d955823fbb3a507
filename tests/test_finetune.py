import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_encoder import tiny_encoder

from evenhand.errors import TrainingError
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.config import ModelConfig
from models.encoders.encoder import load_encoder
from models.labels.classifier import EncoderClassifier, heads_of
from training.finetune import Examples, batches, finetune, log_loss

HEADS, _ = heads_of([policy for policy, _ in sample_policies()])
WORDS = {0: ["cake", "run", "song"], 1: ["follow", "link", "bio"]}


def examples(n: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    texts = [" ".join(rng.choice(WORDS[int(label)], 3)) for label in labels]
    return Examples(texts=texts, heads=["spam"] * n, labels=labels, weights=np.ones(n))


def a_model(folder: Path) -> EncoderClassifier:
    torch.manual_seed(0)
    return EncoderClassifier(load_encoder(tiny_encoder(folder)), HEADS)


CONFIG = ModelConfig(epochs=4, batch_size=8, learning_rate=1e-3, head_learning_rate=1e-2, patience=9)


def test_training_lowers_the_loss_and_keeps_the_best_weights(tmp_path):
    model, held = a_model(tmp_path / "e"), examples(40, 2)
    report = finetune(model, examples(120, 1), held, config=CONFIG, seed=1)
    assert min(report.validation_loss) < 0.5 * report.validation_loss[0]
    assert log_loss(model, held) == pytest.approx(min(report.validation_loss), rel=1e-4)
    assert report.best_epoch == int(np.argmin(report.validation_loss))


def test_frozen_embeddings_stay_as_they_were(tmp_path):
    model = a_model(tmp_path / "e")
    before = model.body.embeddings.word_embeddings.weight.clone()
    finetune(model, examples(40, 1), examples(20, 2), config=CONFIG, seed=1)
    assert torch.equal(before, model.body.embeddings.word_embeddings.weight)


def test_training_stops_when_nothing_is_gained(tmp_path):
    config = ModelConfig(epochs=9, batch_size=8, learning_rate=1.0, head_learning_rate=1.0, patience=1)
    report = finetune(a_model(tmp_path / "e"), examples(40, 1), examples(20, 2), config=config, seed=1)
    assert len(report.train_loss) < 9


def test_weight_zero_teaches_nothing(tmp_path):
    train = examples(300, 1)
    model = a_model(tmp_path / "e")
    half = np.arange(300) % 2 == 0
    wrong = Examples(
        texts=train.texts, heads=train.heads, labels=np.where(half, train.labels, 1 - train.labels),
        weights=np.where(half, 1.0, 0.0),
    )  # fmt: skip
    finetune(model, wrong, examples(30, 2), config=CONFIG, seed=1)
    held = examples(30, 3)
    assert (model.proba(held.texts, "spam")[:, :2].argmax(1) == held.labels).mean() > 0.9


def test_batches_hold_every_example_once_and_alike_in_length():
    ids = [[1] * n for n in np.random.default_rng(0).integers(1, 100, 333)]
    found = list(batches(ids, 16, np.random.default_rng(1)))
    assert sorted(i for places in found for i in places) == list(range(333))
    spread = [max(len(ids[i]) for i in b) - min(len(ids[i]) for i in b) for b in found]
    assert np.mean(spread) < 20


def test_no_examples_say_so(tmp_path):
    with pytest.raises(TrainingError, match="no training examples"):
        finetune(a_model(tmp_path / "e"), examples(0, 1), examples(5, 2), config=CONFIG, seed=1)


_CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_finetune as t
import training.finetune as f
keep = f._keep
def slow(*args):
    keep(*args)
    if args[1] == 2:
        print("kept", flush=True)
        import time
        time.sleep(60)
f._keep = slow
model = t.a_model(Path(sys.argv[2]))
f.finetune(model, t.examples(60, 1), t.examples(30, 2), config=t.CONFIG, seed=1, checkpoint=Path(sys.argv[3]))
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tmp_path):
    whole = a_model(tmp_path / "whole")
    finetune(whole, examples(60, 1), examples(30, 2), config=CONFIG, seed=1)
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
    report = finetune(
        resumed, examples(60, 1), examples(30, 2), config=CONFIG, seed=1, checkpoint=tmp_path / "c"
    )
    assert report.resumed_at_epoch == 2 and len(report.train_loss) == 4
    for name, tensor in whole.trained_tensors().items():
        assert torch.allclose(tensor, resumed.trained_tensors()[name], atol=1e-6), name
