"""The training set: examples cut into tokens, kept on disk so that no run cuts the same texts twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import evenhand
from models.encoders.encoder import Encoder

datasets.disable_progress_bars()

FORMAT = 1  # of the file; one more whenever its columns or what makes them changes
FILE = "examples.arrow"
_TOKENS = {
    "input_ids": datasets.List(datasets.Value("int32")),
    "length": datasets.Value("int32"),
}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some examples: token ids, head key, index of the right label in that head, weight; all of length n."""

    input_ids: list[list[int]]
    heads: NDArray[np.str_]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """Examples for one encoder, read from a file that stays on disk.

    Columns: text, head, label, weight, place, input_ids, length.
    """

    rows: datasets.Dataset
    examples: str  # digest of what is taught, whoever reads it
    digest: str  # of that and of how it was cut into tokens

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, shape (n,)."""
        return np.array(self.rows["length"], np.int64)

    def batch(self, places: list[int] | None = None) -> Batch:
        """The examples at `places`, in that order; all without."""
        columns = self.rows.select_columns(["input_ids", "head", "label", "weight"])
        found = columns[:] if places is None else columns[places]
        return Batch(
            input_ids=found["input_ids"],
            heads=np.array(found["head"], np.str_),
            labels=np.array(found["label"], np.int64),
            weights=np.array(found["weight"], np.float64),
        )


def training_set(examples: datasets.Dataset, encoder: Encoder, root: Path) -> TrainingSet:
    """`examples` (of `training.examples`) as `encoder` reads them, from disk where they lie there already.

    Their folder under `root` is called after all that decides its content: the examples, the tokenizer, where
    it cuts, this code's version. A damaged file is made anew.
    """
    taught = _digest(json.dumps(row, sort_keys=True) for row in examples.to_list())
    reads = [encoder.tokenizer.to_str(), encoder.max_tokens, evenhand.__version__, FORMAT]
    digest = _digest([taught, json.dumps(reads)])
    file = root / digest / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    os.utime(file.parent)  # in use: not to be removed as stale
    try:
        rows = _tokenised(examples, encoder, file, digest)
    except (pa.ArrowException, OSError) as problem:
        if getattr(problem, "errno", None) is not None:  # the disk's, not Arrow's word for a cut file
            raise
        rows = None
    if rows is None or len(rows) != len(examples):
        file.unlink()
        rows = _tokenised(examples, encoder, file, digest)
    return TrainingSet(rows=rows, examples=taught, digest=digest)


def _tokenised(examples: datasets.Dataset, encoder: Encoder, file: Path, digest: str) -> datasets.Dataset:
    """From `file`, or made and written to it, whole or not at all."""

    def tokenise(texts: list[str]) -> dict[str, list[list[int]] | list[int]]:
        ids = encoder.tokens(texts)
        return {"input_ids": ids, "length": [len(row) for row in ids]}

    return examples.map(
        tokenise,
        input_columns="text",
        batched=True,
        features=datasets.Features({**examples.features, **_TOKENS}),
        cache_file_name=str(file),
        load_from_cache_file=True,
        new_fingerprint=digest,
    )


def _digest(lines: Iterable[str]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for line in lines:
        found.update(line.encode() + b"\n")
    return found.hexdigest()
