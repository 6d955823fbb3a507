"""Tests the training set on disk: it is used again only for the same examples and tokenizer."""

from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from tokenizers import Tokenizer, normalizers
from worlds.tiny_encoder import tiny_encoder

from models.encoders.encoder import Encoder, load_encoder
from training.examples import FEATURES
from training.training_set import FILE, training_set

ROWS = [
    {"text": "we baked a cake", "head": "spam", "label": 0, "weight": 1.0, "place": 0},
    {"text": "follow the link in my bio", "head": "spam", "label": 1, "weight": 0.5, "place": 1},
    {"text": "ขายของถูกมาก ทักมาเลย", "head": "spam@v2", "label": 2, "weight": 1.0, "place": 1},
]


def examples(*rows: dict) -> datasets.Dataset:
    return datasets.Dataset.from_list(list(rows or ROWS), features=FEATURES)


@pytest.fixture
def encoder(tmp_path, monkeypatch) -> Encoder:
    """An encoder that records in `.asked` which texts it has cut into tokens."""
    found = load_encoder(tiny_encoder(tmp_path / "encoder"), max_tokens=48)
    asked: list[str] = []
    tokens = Encoder.tokens

    def counted(self, texts, prefix="query: "):
        asked.extend(texts)
        return tokens(self, texts, prefix)

    monkeypatch.setattr(Encoder, "tokens", counted)
    found.asked = asked  # type: ignore[attr-defined]
    return found


def test_a_set_holds_the_examples_with_their_tokens_in_order(encoder, tmp_path):
    found = training_set(examples(), encoder, tmp_path / "sets")
    assert found.rows.select_columns(list(ROWS[0])).to_list() == ROWS
    assert found.rows["input_ids"][:] == encoder.tokens([row["text"] for row in ROWS])
    assert found.lengths.tolist() == [len(row) for row in found.rows["input_ids"]]
    batch = found.batch([2, 0])
    assert batch.input_ids == encoder.tokens([ROWS[2]["text"], ROWS[0]["text"]])
    assert (batch.heads.tolist(), batch.labels.tolist(), batch.weights.tolist()) == (
        ["spam@v2", "spam"],
        [2, 0],
        [1.0, 1.0],
    )


def test_the_same_examples_are_cut_into_tokens_once(encoder, tmp_path):
    first = training_set(examples(), encoder, tmp_path / "sets")
    assert encoder.asked == [row["text"] for row in ROWS]
    again = training_set(examples(), load_encoder(encoder.name, max_tokens=48), tmp_path / "sets")
    assert len(encoder.asked) == 3 and again.digest == first.digest
    assert again.rows.to_list() == first.rows.to_list()
    (file,) = (tmp_path / "sets").glob(f"*/{FILE}")
    assert [Path(cached["filename"]) for cached in again.rows.cache_files] == [file]


def lower_case(encoder: Encoder) -> Encoder:
    tokenizer = Tokenizer.from_str(encoder.tokenizer.to_str())
    tokenizer.normalizer = normalizers.Lowercase()
    return replace(encoder, tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("column", "value"),
    [("text", "we baked a pie"), ("head", "spam@v2"), ("label", 1), ("weight", 0.5), ("place", 7)],
)
def test_another_example_is_another_set(encoder, tmp_path, column, value):
    before = training_set(examples(), encoder, tmp_path / "sets")
    changed = [{**ROWS[0], column: value}, *ROWS[1:]]
    after = training_set(examples(*changed), encoder, tmp_path / "sets")
    assert after.rows.select_columns(list(ROWS[0])).to_list() == changed
    assert after.examples != before.examples and after.digest != before.digest


def test_another_tokenizer_or_another_cut_is_another_set_of_the_same_examples(encoder, tmp_path):
    shouted = examples({**ROWS[0], "text": "WE BAKED A CAKE"})
    found = [
        training_set(shouted, reads, tmp_path / "sets")
        for reads in (encoder, lower_case(encoder), replace(encoder, max_tokens=8))
    ]
    assert len({one.digest for one in found}) == 3 and len({one.examples for one in found}) == 1
    assert found[1].rows[0]["input_ids"] == encoder.tokens(["we baked a cake"], prefix="query: ")[0]
    assert found[2].lengths.tolist() == [8]


@pytest.mark.parametrize("content", [b"", b"not a table at all", None])
def test_a_damaged_file_is_made_anew(encoder, tmp_path, content):
    many = examples(*(ROWS * 50))
    whole = training_set(many, encoder, tmp_path / "sets").rows.to_list()
    (file,) = (tmp_path / "sets").glob(f"*/{FILE}")
    file.write_bytes(file.read_bytes()[:2_000] if content is None else content)
    assert training_set(many, encoder, tmp_path / "sets").rows.to_list() == whole
    assert len(encoder.asked) == 300


def test_no_examples_are_an_empty_set(encoder, tmp_path):
    none = datasets.Dataset.from_dict({name: [] for name in FEATURES}, features=FEATURES)
    assert len(training_set(none, encoder, tmp_path / "sets")) == 0 and not encoder.asked
