"""Tests the search for deletions on a toy reader, where the right answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.explain.deletion import LEAST, Found, log_odds, search, without
from models.explain.split_words import words

WORDS = ["tea", "cake", "rude", "mean", "kind", "walk", "rain", "song", "boat", "lamp"]


class Toy:
    """A toy reader with two labels, fine and violating: words have weights, and pairs may have one."""

    def __init__(self, says: dict[str, float], pairs: dict[tuple[str, str], float] | None = None, bias=-1.0):
        self.says, self.pairs, self.bias = says, pairs or {}, bias
        self.texts: list[str] = []

    def __call__(self, texts):
        self.texts += texts
        z = np.array([self._sum(text.split()) for text in texts])
        p = 1 / (1 + np.exp(-z))
        return np.stack([1 - p, p], axis=1)

    def _sum(self, found):
        both = sum(v for (a, b), v in self.pairs.items() if a in found and b in found)
        return self.bias + sum(self.says.get(word, 0.0) for word in found) + both


def found_in(text: str, read, *, decided: int = 0, passes: int = 60) -> tuple[Found, list[str], list[str]]:
    """The result, the words that speak against the decision, and the words of the flip."""
    spans = words(text)
    predicted = int(read([text])[0].argmax())
    found = search(text, spans, read, decided=decided, predicted=predicted, passes=passes)
    name = [text[a:b] for a, b in spans]
    flip = sorted(found.flip.words) if found.flip else []
    return found, [name[i] for i, w in sorted(found.weights.items()) if w > 0], [name[i] for i in flip]


def test_the_words_that_carry_the_label_are_found_with_their_weights():
    found, against, _ = found_in("tea and rude cake with mean song", Toy({"rude": 2.0, "mean": 1.0}))
    assert against == ["rude", "mean"] and found.gain == pytest.approx(3.0)
    assert found.weights[2] == 1.0 and found.weights[5] == pytest.approx(0.5)


def test_a_word_for_the_decision_has_a_weight_below_zero():
    found, against, _ = found_in("kind rude song and tea", Toy({"rude": 3.0, "kind": -1.5}))
    assert against == ["rude"] and found.weights[0] < 0


def test_words_that_only_count_together_are_found_together():
    """If two words can replace each other, leaving out one word at a time shows no effect."""
    either = Toy({"rude": 3.0, "mean": 3.0}, {("rude", "mean"): -3.0})
    found, against, flip = found_in("tea rude cake mean song walk rain boat", either)
    assert against == ["rude", "mean"] == flip
    assert found.gain == pytest.approx(3.0)


def test_the_shortest_flip_is_one_word_where_one_word_does():
    _, _, flip = found_in("rude tea mean cake song", Toy({"rude": 2.5, "mean": 0.4}))
    assert flip == ["rude"]


def test_a_flip_that_cannot_be_is_none():
    found, _, _ = found_in("tea cake song walk", Toy({}, bias=3.0))
    assert found.flip is None and found.weights == {}
    assert found_in("rude", Toy({"rude": 5.0}))[0].flip is None  # no text would be left


def test_a_right_decision_has_its_flip_too():
    found, against, flip = found_in("tea rude cake song", Toy({"rude": 3.0}), decided=1)
    assert flip == ["rude"] and found.flip.label == 0 and against == []


def test_an_empty_text_is_not_read():
    toy = Toy({})
    found = search("", [], toy, decided=0, predicted=1, passes=60)
    assert found == Found(weights={}, gain=0.0, flip=None, passes=0) and toy.texts == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=40),
    st.dictionaries(st.sampled_from(WORDS), st.floats(-3, 3), max_size=6),
    st.dictionaries(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), st.floats(-3, 3), max_size=3),
    st.integers(0, 1),
    st.integers(1, 80),
)
def test_what_is_said_of_a_text_is_true_of_it(text, says, pairs, decided, passes):
    line, toy = " ".join(text), Toy(says, pairs)
    spans = words(line)
    before = toy([line])[0]
    predicted = int(before.argmax())
    found = search(line, spans, toy, decided=decided, predicted=predicted, passes=passes)
    limit = max(LEAST, passes)
    assert found.passes <= limit
    assert all(-1 <= w <= 1 and w != 0 and 0 <= i < len(text) for i, w in found.weights.items())
    against = [spans[i] for i, w in sorted(found.weights.items()) if w > 0]
    after = toy([without(line, against)])[0]
    moved = log_odds(after[None, decided])[0] - log_odds(before[None, decided])[0]
    assert found.gain == pytest.approx(moved) and (found.gain > 0 if against else found.gain == 0)
    # no other choice of as many words, each chosen for what it moves alone, moves further
    if against and len(spans) <= 6:
        alone = log_odds(toy([without(line, [span]) for span in spans])[:, decided])
        if alone.max() - log_odds(before[None, decided])[0] > 0.05:
            best = sorted(np.argsort(-alone, kind="stable")[: len(against)])
            rival = toy([without(line, [spans[i] for i in best])])[0]
            assert log_odds(rival[None, decided])[0] <= log_odds(after[None, decided])[0] + 1e-9
    if found.flip:
        assert 0 < len(found.flip.words) <= len(text) / 2
        cut = [spans[i] for i in sorted(found.flip.words)]
        p = toy([without(line, cut)])[0]
        assert p.argmax() == found.flip.label != predicted and p.max() == pytest.approx(found.flip.p)
        # there were enough passes to try each
        pruned = 1 < len(cut) <= 12 and found.passes + 12 < 7 * limit // 8
        for one in cut if pruned else ():  # every word of it is needed
            fewer = toy([without(line, [span for span in cut if span != one])])[0]
            assert fewer[found.flip.label] - fewer[predicted] <= 0.02 + 1e-9
    singles = [without(line, [span]) for span in spans]
    if len(spans) <= 7 and not found.flip:  # then each word was left out alone
        for p in toy(singles) if len(spans) > 1 else ():
            assert p[1 - predicted] - p[predicted] <= 0.02 + 1e-9


def test_a_long_text_goes_by_runs_and_costs_no_more_than_its_passes():
    toy = Toy({"rude": 0.2, "mean": 0.1}, bias=-8.0)
    found, against, flip = found_in(" ".join(["tea"] * 150 + ["rude"] * 60 + ["mean"] * 40), toy, passes=16)
    assert {"rude"} <= set(against) and found.gain > 0
    assert flip and found.flip.label == 0
    assert found.passes <= LEAST
