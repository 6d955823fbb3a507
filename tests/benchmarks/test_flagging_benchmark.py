"""Tests the benchmark that compares Evenhand's flags with its peers.

Every peer is the real library and finds planted errors.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from models.compare.metrics import average_precision

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
pytest.importorskip("cleanlab", reason="peers are not installed (pip group `peers`)")

import flagging  # noqa: E402
from flagging_peers import Head, scores  # noqa: E402


@pytest.fixture(scope="module")
def planted():
    """600 decisions of three labels in a plane; one in ten was decided wrongly."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    vectors = (np.eye(3)[truth] * 4 + rng.normal(0, 0.7, (600, 3))).astype(np.float32)
    wrong = rng.random(600) < 0.1
    label = np.where(wrong, (truth + 1 + rng.integers(0, 2, 600)) % 3, truth)
    ruled = rng.random(600) < 0.3
    exact = np.eye(3)[truth] * 0.9 + 0.1 / 3
    head = Head(
        csr_matrix(np.maximum(vectors, 0)), vectors, label, truth, ruled, np.arange(600) % 5, 3, exact
    )
    return head, wrong.astype(float)


def test_every_peer_finds_planted_errors_and_chance_does_not(planted):
    head, wrong = planted
    found = {name: average_precision(wrong, score) for name, score in scores(head, 1).items()}
    assert found.pop("random") < 0.2
    assert len(found) == 12 + 6
    assert min(found.values()) > 0.4, found
    assert found["cleanlab_self_confidence_ours"] == pytest.approx(1.0)  # this model was given the truth


def test_a_head_with_one_label_has_no_peers(planted):
    head, _ = planted
    alike = Head(
        head.grams, head.vectors, np.zeros(600, np.int64), head.truth, head.ruled, head.fold, 3, head.ours
    )
    assert list(scores(alike, 1)) == ["random"]


def test_the_table_counts_only_unseen_decisions_of_the_part_asked_for():
    n = 40
    frame = pl.DataFrame(
        {
            "wrong": [1.0, 0.0] * 20,
            "ruled": [True] * 10 + [False] * 30,
            "unseen": [False] * 10 + [True] * 30,
            "final": [False] * 20 + [True] * 20,
            "evenhand": [0.9, 0.1] * 20,
            "peer": [0.1, 0.9] * 20,
            "group": [f"g{i}" for i in range(n)],
            "language": ["en"] * n,
            "area": ["x"] * n,
            "support": ["good"] * n,
            "coef": ["[0]"] * n,
        }
    )
    args = argparse.Namespace(part="final")
    result = flagging.summary(args, [("a_set", 1, frame)])
    found = result["sets"]["a_set"]
    assert found["n"] == 20 and found["methods"]["evenhand"]["ap"] == 1.0 and found["best_peer"] == "peer"
    assert found["lead"]["low"] > 0.2
    assert result["macro"]["evenhand"]["lift_at_5"] == 2.0
