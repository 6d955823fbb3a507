"""Step 2 of training: the encoder learns from the training part; the validation part says when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from evenhand.workspace.config import ModelConfig
from evenhand.workspace.workspace import Workspace
from models.encoders.encoder import load_encoder
from models.labels.classifier import EncoderClassifier
from training.finetune import FinetuneReport, finetune
from training.prepare import Prepared
from training.training_set import TrainingSet, training_set


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The fine-tuned classifier as it will judge (in 8 bits where it does), what it read, how it went."""

    classifier: EncoderClassifier
    sets: Mapping[str, TrainingSet]  # "training" and "validation"
    report: FinetuneReport


def tune(ws: Workspace, prepared: Prepared, config: ModelConfig, *, resume: bool) -> Tuned:
    """Fine-tune on the training part.

    Go on where a cut run of the same inputs stopped, unless `resume` is false.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    encoder = load_encoder(config.encoder, max_tokens=config.max_tokens, allow_download=config.allow_download)
    sets = {
        name: training_set(prepared.examples(prepared.part == part), encoder, ws.training_dir)
        for name, part in (("training", "train"), ("validation", "validation"))
    }
    classifier = EncoderClassifier(encoder, prepared.heads, train_embeddings=config.train_embeddings)
    report = finetune(
        classifier,
        sets["training"],
        sets["validation"],
        config=config,
        seed=config.seed,
        checkpoints=ws.training_dir,
        resume=resume,
    )
    if config.int8:
        classifier.use_int8()
    return Tuned(classifier=classifier, sets=sets, report=report)
