"""Label probabilities: one linear head per area and policy wording over a shared encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from evenhand.errors import ModelError
from evenhand.records.policy import PolicyVersion
from evenhand.workspace.files import write_text
from models.encoders import int8
from models.encoders.encoder import Encoder, Floats32, load_encoder, unit

Floats = NDArray[np.float64]

#: How far apart two clauses pull before any ruling is seen; about 2:1 odds between related clauses.
CLAUSE_SCALE = 15.0


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """One head: an area under the policy versions that word it alike.

    Label order and titles are those of the first of them.
    """

    key: str
    area: str
    labels: tuple[str, ...]
    clauses: tuple[str, ...]


def heads_from(raw: Sequence[Mapping[str, Any]]) -> dict[str, HeadSpec]:
    """Heads by key, from the JSON of a manifest."""
    return {
        spec["key"]: HeadSpec(
            key=spec["key"], area=spec["area"], labels=tuple(spec["labels"]), clauses=tuple(spec["clauses"])
        )
        for spec in raw
    }


class LabelModel(Protocol):
    """Anything that reads a text and says how likely each label of a head is."""

    @property
    def heads(self) -> Mapping[str, HeadSpec]:
        """Heads by key."""
        ...

    def proba(self, texts: Sequence[str], head: str) -> Floats:
        """Shape (n, labels of the head), rows sum to 1."""
        ...


def build_heads(policies: Sequence[PolicyVersion]) -> tuple[dict[str, HeadSpec], dict[str, str]]:
    """Heads by key, and "version/area" -> head key.

    Versions in which an area's clauses read the same, label by label, share a head, whatever the titles,
    severities and order of the labels; the label that means "not violating" must be the same. A reworded area
    gets a new head.
    """
    heads: dict[str, HeadSpec] = {}
    where: dict[str, str] = {}
    known: dict[tuple[str, str, frozenset[tuple[str, str]]], str] = {}
    for policy in policies:
        for area in policy.areas:
            pairs = frozenset((label.name, label.clause) for label in area.labels)
            wording = (area.name, area.labels[0].name, pairs)
            if wording not in known:
                known[wording] = area.name if area.name not in heads else f"{area.name}@{policy.version}"
                key = known[wording]
                clauses = tuple(f"{label.title}. {label.clause}" for label in area.labels)
                heads[key] = HeadSpec(key=key, area=area.name, labels=area.label_names, clauses=clauses)
            where[f"{policy.version}/{area.name}"] = known[wording]
    return heads, where


class EncoderClassifier(torch.nn.Module):
    """A shared encoder with linear heads on the mean-pooled vector."""

    def __init__(
        self, encoder: Encoder, heads: Mapping[str, HeadSpec], *, train_embeddings: bool = False
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.body = encoder.model
        self.int8 = False
        self._before_int8: dict[str, torch.Tensor] = {}
        self.heads = dict(heads)
        self._place = {key: i for i, key in enumerate(self.heads)}
        self.weights = torch.nn.ParameterList()
        self.biases = torch.nn.ParameterList()
        for spec in self.heads.values():
            self.weights.append(torch.nn.Parameter(self._from_clauses(spec)))
            self.biases.append(torch.nn.Parameter(torch.zeros(len(spec.labels))))
        if not train_embeddings and hasattr(self.body, "embeddings"):
            for parameter in self.body.embeddings.parameters():
                parameter.requires_grad_(False)

    def _from_clauses(self, spec: HeadSpec) -> torch.Tensor:
        """Rows start from the clauses' embeddings, centred, so that a label works before any ruling."""
        pooled = self.encoder.pooled(spec.clauses, prefix="passage: ")
        rows = unit(pooled)
        size = float(np.linalg.norm(pooled, axis=1).mean())
        return torch.from_numpy(CLAUSE_SCALE * (rows - rows.mean(0)) / size)

    def logits(self, pooled: torch.Tensor, head: str) -> torch.Tensor:
        """Shape (n, labels of the head)."""
        place = self._place[head]
        out: torch.Tensor = pooled @ self.weights[place].T + self.biases[place]
        return out

    def pooled(self, texts: Sequence[str]) -> Floats32:
        """Vectors of the texts, shape (n, dim), in order; one pass serves all heads and the precedents."""
        return self.encoder.pooled(texts)

    def head_proba(self, pooled: Floats32, head: str) -> Floats:
        """Probabilities of the labels of `head`, shape (n, labels), rows sum to 1."""
        if head not in self.heads:
            raise ModelError(f"no head {head!r}; the model has {', '.join(self.heads)}")
        with torch.inference_mode():
            logits = self.logits(torch.from_numpy(np.ascontiguousarray(pooled)), head).double()
            return torch.softmax(logits, -1).numpy()

    def proba(self, texts: Sequence[str], head: str) -> Floats:
        """Probabilities of the labels of `head` for each text."""
        return self.head_proba(self.pooled(texts), head)

    def use_int8(self) -> None:
        """Judge with 8-bit weights and activations from now on; training is over.

        No effect where the CPU cannot. What follows training (calibration, evaluation, scoring) must see the
        same outputs, so it is part of the manifest.
        """
        if self.int8 or not int8.available():
            return
        self._before_int8 = self.trained_tensors()
        int8.quantise(self.body)
        self.int8 = True

    def trained_tensors(self) -> dict[str, torch.Tensor]:
        """The tensors that training changes, by name; the frozen rest comes from the base encoder."""
        if self.int8:
            return self._before_int8
        return {name: value.detach() for name, value in self.named_parameters() if value.requires_grad}

    def save(self, folder: Path) -> None:
        """Write trained tensors (float16 for the encoder, float32 for the heads), tokenizer and manifest."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            name: (value.half() if name.startswith("body.") else value).contiguous().clone()
            for name, value in self.trained_tensors().items()
        }
        save_file(tensors, folder / "classifier.safetensors")
        self.encoder.tokenizer.save(str(folder / "tokenizer.json"))
        manifest = {
            "encoder": self.encoder.name,
            "revision": self.encoder.revision,
            "max_tokens": self.encoder.max_tokens,
            "int8": self.int8,
            "train_embeddings": any(name.startswith("body.embeddings") for name in tensors),
            "heads": [asdict(spec) for spec in self.heads.values()],
        }
        write_text(folder / "classifier.json", json.dumps(manifest, ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: Path, *, allow_download: bool = False) -> EncoderClassifier:
        """Read what `save` wrote; ModelError if the base encoder is another one now."""
        try:
            raw = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise ModelError(
                f"{folder}: no readable classifier.json ({problem}); register the model again"
            ) from problem
        encoder = load_encoder(raw["encoder"], max_tokens=raw["max_tokens"], allow_download=allow_download)
        if encoder.revision != raw["revision"]:
            raise ModelError(
                f"{folder}: was trained on {raw['encoder']} revision {raw['revision']}, found revision"
                f" {encoder.revision}; restore that encoder or retrain"
            )
        heads = heads_from(raw["heads"])
        model = cls(encoder, heads, train_embeddings=raw["train_embeddings"])
        tensors = {
            name: value.float() for name, value in load_file(folder / "classifier.safetensors").items()
        }
        expected = set(model.trained_tensors())
        if set(tensors) != expected:
            raise ModelError(
                f"{folder}: classifier.safetensors does not fit the encoder; register the model again"
            )
        model.load_state_dict(tensors, strict=False)
        model.eval()
        if raw["int8"]:
            model.use_int8()
        return model
