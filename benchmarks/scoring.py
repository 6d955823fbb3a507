"""Measures how many texts per second Evenhand judges, beside `transformers.pipeline`.

Both use the same weights, texts and machine, in one run.

python benchmarks/scoring.py [--texts 2000] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evenhand.workspace.telemetry import quiet

quiet()

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
import torch  # noqa: E402
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast  # noqa: E402
from transformers import TextClassificationPipeline as Pipeline  # noqa: E402

from evenhand.synthetic import generate  # noqa: E402
from evenhand.synthetic.sample_policies import sample_policies  # noqa: E402
from models.bundle import encode, load_base_encoder  # noqa: E402
from models.encoders import bundled_e5  # noqa: E402
from models.encoders.encoder import load_encoder  # noqa: E402
from models.labels.classifier import EncoderClassifier, build_heads  # noqa: E402


def speed(work: Callable[[], object], n: int) -> float:
    """Texts per second of the best of two runs."""
    took = []
    for _ in range(2):
        began = time.monotonic()
        work()
        took.append(time.monotonic() - began)
    return round(n / min(took), 1)


def pipeline() -> Pipeline:
    """What a user would write: a pipeline of the same encoder with a classification head."""
    folder = bundled_e5.folder()
    config = BertConfig.from_pretrained(folder, num_labels=3)
    model = BertForSequenceClassification.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="<pad>", model_max_length=128
    )
    return Pipeline(model=model, tokenizer=tokenizer)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        generate(seed=1, decisions=4 * args.texts, rulings=0, out_dir=Path(folder))
        frame = pl.read_csv(Path(folder) / "decisions.csv.gz")
    texts = frame["text"].unique(maintain_order=True).to_list()[: args.texts]
    peer = pipeline()
    found: dict[str, Any] = {
        "texts": len(texts),
        "pipeline_batch_1": speed(lambda: peer(texts, truncation=True), len(texts)),
        "pipeline_batch_32": speed(lambda: peer(texts, batch_size=32, truncation=True), len(texts)),
    }
    heads, _ = build_heads([policy for policy, _ in sample_policies()])
    model = EncoderClassifier(load_encoder(bundled_e5.NAME), heads).eval()
    found["tokens_per_text"] = round(float(np.mean([len(ids) for ids in model.encoder.tokens(texts)])), 1)
    found["evenhand_fp32"] = speed(lambda: model.proba(texts, "spam"), len(texts))
    before = model.proba(texts, "spam")
    model.use_int8()
    found["evenhand_int8"] = speed(lambda: model.proba(texts, "spam"), len(texts))
    found["int8_mean_change_of_p"] = round(float(np.abs(model.proba(texts, "spam") - before).mean()), 4)
    base, column = load_base_encoder(model), pl.Series(texts)
    # the fine-tuned and the base encoder
    found["evenhand_score"] = speed(lambda: encode(model, base, column), len(texts))
    found["ratio_to_pipeline_batch_32"] = round(found["evenhand_score"] / found["pipeline_batch_32"], 2)
    found["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    found["date"] = f"{datetime.now(UTC):%Y-%m-%d}"
    text = json.dumps(found, indent=1)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
