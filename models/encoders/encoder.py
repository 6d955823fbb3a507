"""A base encoder by name: bundled, a hub id, or a folder."""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, BertConfig, BertModel, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from evenhand.errors import ModelError
from evenhand.workspace.telemetry import quiet
from models.encoders import bundled_e5

Floats32 = NDArray[np.float32]
TOKENS_PER_BATCH = 1_024  # small batches of similar length: nearly no padding, and they fit the cache

logging.getLogger("transformers").setLevel(logging.ERROR)
disable_progress_bar()


@dataclass
class Encoder:
    """A transformer and its tokenizer. `revision` tells the exact weights."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    name: str
    revision: str
    max_tokens: int

    @property
    def dim(self) -> int:
        """Width of a text's vector."""
        return int(self.model.config.hidden_size)

    def tokens(self, texts: Sequence[str], prefix: str = "query: ") -> list[list[int]]:
        """Token ids of each text with `prefix`, cut at max_tokens (the end token stays)."""
        prepared = [prefix + unicodedata.normalize("NFC", text[: 20 * self.max_tokens]) for text in texts]
        cut = self.max_tokens
        return [
            ids if len(ids) <= cut else [*ids[: cut - 1], ids[-1]]
            for ids in (encoding.ids for encoding in self.tokenizer.encode_batch_fast(prepared))
        ]

    def pool(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """Mean over the tokens of each text's last hidden state, shape (n, dim).

        Keeps the gradient if asked to.
        """
        pad = int(self.model.config.pad_token_id or 0)
        width = max(len(row) for row in ids)
        batch = torch.full((len(ids), width), pad, dtype=torch.long)
        mask = torch.zeros((len(ids), width), dtype=torch.long)
        for i, row in enumerate(ids):
            batch[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        hidden = self.model(input_ids=batch, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        mean: torch.Tensor = (hidden * weight).sum(1) / weight.sum(1)
        return mean

    def pooled(self, texts: Sequence[str], prefix: str = "query: ") -> Floats32:
        """Mean-pooled vectors, shape (n, dim), in the order of `texts`; inference only."""
        return self.pooled_tokens(self.tokens(texts, prefix))

    def pooled_tokens(self, ids: Sequence[list[int]]) -> Floats32:
        """As `pooled`, of the token ids of each text."""
        out = np.empty((len(ids), self.dim), np.float32)
        self.model.eval()
        with torch.inference_mode():
            for places, batch in length_batches(ids):
                out[places] = self.pool(batch).numpy()
        return out

    def embed(self, texts: Sequence[str], prefix: str = "query: ") -> Floats32:
        """Vectors of length 1, shape (n, dim), in the order of `texts`."""
        return unit(self.pooled(texts, prefix))


def unit(vectors: Floats32) -> Floats32:
    """Rows scaled to length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def length_batches(
    ids: Sequence[list[int]], budget: int = TOKENS_PER_BATCH
) -> Iterator[tuple[list[int], list[list[int]]]]:
    """Batches of similar length: (places in `ids`, token ids), at most `budget` tokens with padding."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and len(ids[order[end]]) * (end + 1 - start) <= budget:
            end += 1
        places = order[start:end]
        yield places, [ids[i] for i in places]
        start = end


def check_encoder(name: str, *, allow_download: bool = False) -> str:
    """One line on whether `name` can be loaded, for `evenhand doctor`; ModelError if it cannot."""
    if name == bundled_e5.NAME:
        return f"{name} in {bundled_e5.folder()}"
    if name.startswith("bundled:"):
        raise ModelError(f"no bundled encoder {name!r}; there is {bundled_e5.NAME}")
    if Path(name).is_dir():
        _check_folder(Path(name))
        return f"{name} (folder)"
    if allow_download:
        return f"{name} (hub id; fetched where the local hub cache lacks it)"
    return f"{name} (hub id, in {_snapshot(name, allow_download=False)})"


def load_encoder(name: str, *, max_tokens: int = 128, allow_download: bool = False) -> Encoder:
    """The base encoder called `name`: `bundled:multilingual-e5-small`, a hub id or a local folder.

    Weights are float32. The network is used only for a hub id and with `allow_download`. ModelError says what
    is missing.
    """
    check_encoder(name, allow_download=allow_download)
    if name == bundled_e5.NAME:
        return _from_folder(bundled_e5.folder(), name, bundled_e5.SHA256[:16], max_tokens)
    if Path(name).is_dir():
        return _from_folder(Path(name), name, _fingerprint(Path(name)), max_tokens)
    return _from_hub(name, max_tokens, allow_download=allow_download)


def _check_folder(folder: Path) -> None:
    for needed in ("config.json", "tokenizer.json", "model.safetensors"):
        if not (folder / needed).is_file():
            raise ModelError(
                f"{folder}: no {needed}; an encoder folder holds config.json, tokenizer.json, model.safetensors"
            )


def _from_folder(folder: Path, name: str, revision: str, max_tokens: int) -> Encoder:
    _check_folder(folder)
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if raw.get("model_type") == "bert":
            model: PreTrainedModel = BertModel.from_pretrained(
                folder,
                config=BertConfig(**raw),
                add_pooling_layer=False,
                dtype=torch.float32,
                local_files_only=True,
            )
        else:
            model = AutoModel.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
            )
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as problem:  # transformers, safetensors and tokenizers each raise their own
        raise ModelError(
            f"{folder}: cannot be loaded as an encoder ({problem}); restore its files, or name another [model] encoder"
        ) from problem
    tokenizer.no_padding()
    tokenizer.no_truncation()
    limit = int(getattr(model.config, "max_position_embeddings", max_tokens))
    return Encoder(model, tokenizer, name, revision, min(max_tokens, limit))


def _fingerprint(folder: Path) -> str:
    weights = folder / "model.safetensors"
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:16] if weights.is_file() else "none"


def _snapshot(name: str, *, allow_download: bool) -> Path:
    """Where the hub's files of `name` lie on this machine; ModelError if they do not."""
    quiet(allow_download=allow_download)
    from huggingface_hub import snapshot_download

    try:
        files = ["config.json", "tokenizer.json", "*.safetensors"]
        return Path(snapshot_download(name, allow_patterns=files, local_files_only=not allow_download))
    except Exception as problem:  # the hub's many errors all mean: not to be had
        raise ModelError(
            f"encoder {name!r} is no folder and not in the local hub cache ({type(problem).__name__}); set"
            " [model] allow_download = true, or name a folder, or bundled:multilingual-e5-small"
        ) from problem


def _from_hub(name: str, max_tokens: int, *, allow_download: bool) -> Encoder:
    folder = _snapshot(name, allow_download=allow_download)
    if len(list(folder.glob("*.safetensors"))) == 1 and not (folder / "model.safetensors").exists():
        raise ModelError(f"encoder {name!r} has no model.safetensors; other weight files are never unpickled")
    AutoConfig.from_pretrained(folder, local_files_only=True)
    return _from_folder(folder, name, folder.name[:16], max_tokens)
