"""Tests the bundled encoder and how texts are batched for it."""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from worlds.tiny_encoder import tiny_encoder

from evenhand.errors import ModelError
from models.encoders import bundled_e5
from models.encoders.encoder import check_encoder, length_batches, load_encoder


@pytest.fixture(scope="module")
def e5():
    return load_encoder(bundled_e5.NAME)


def test_the_bundled_encoder_knows_that_translations_are_near(e5):
    texts = [
        "lemon water cures diabetes",
        "el agua con limón cura la diabetes",
        "น้ำมะนาวรักษาเบาหวาน",
        "ماء الليمون يشفي السكري",
        "our team practised in the gym",
        "ทีมเราซ้อมในโรงยิม",
    ]
    near = e5.embed(texts) @ e5.embed(texts).T
    assert np.allclose(np.diag(near), 1, atol=1e-5)
    assert near[0, 1:4].min() > near[0, 4:].max()
    assert near[4, 5] > near[4, :4].max()


def test_order_and_company_change_no_vector(e5):
    texts = ["short", "a much longer text about nothing in particular, " * 4, "ไทย", ""]
    together, alone = e5.pooled(texts), np.concatenate([e5.pooled([text]) for text in texts])
    assert np.allclose(together, alone, atol=2e-5)
    assert np.allclose(together[::-1], e5.pooled(texts[::-1]), atol=2e-5)


def test_decomposed_text_reads_like_composed(e5):
    text = "canción en español"
    assert e5.tokens([text]) == e5.tokens([unicodedata.normalize("NFD", text)])


def test_a_long_text_is_cut_and_keeps_its_end_token(e5):
    ids = e5.tokens(["word " * 5_000])[0]
    assert len(ids) == e5.max_tokens and ids[0] == 0 and ids[-1] == 2


def test_batches_hold_every_text_once_within_the_budget():
    ids = [[1] * n for n in (5, 90, 3, 40, 7, 200)]
    places = []
    for here, rows in length_batches(ids, 100):
        assert len(rows) == 1 or len(rows) * max(map(len, rows)) <= 100
        places += here
    assert sorted(places) == list(range(6))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENHAND_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_altered_source_file_is_refused(own_cache, tmp_path, monkeypatch):
    copy = tmp_path / "e5-small-q4.bin"
    shutil.copy(bundled_e5.source_file(), copy)
    with copy.open("r+b") as file:
        file.seek(40_000_000)
        file.write(b"\x00\x01\x02\x03")
    monkeypatch.setattr(bundled_e5, "source_file", lambda: copy)
    with pytest.raises(ModelError, match="is altered"):
        bundled_e5.folder()
    assert not list(own_cache.rglob("*.safetensors"))


def test_an_altered_copy_is_made_anew(own_cache):
    weights = bundled_e5.folder() / "model.safetensors"
    whole = weights.read_bytes()
    with weights.open("r+b") as file:
        file.seek(40_000_000)
        file.write(b"\x00\x01\x02\x03")
    assert weights.read_bytes() != whole
    assert bundled_e5.folder() == weights.parent and weights.read_bytes() == whole


def test_a_missing_wheel_names_the_hub_id(own_cache, monkeypatch):
    monkeypatch.setattr(bundled_e5, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="intfloat/multilingual-e5-small"):
        bundled_e5.source_file()


def test_a_folder_is_an_encoder_and_an_unknown_name_is_not(tmp_path):
    encoder = load_encoder(tiny_encoder(tmp_path / "tiny"))
    assert encoder.pooled(["a", "b"]).shape == (2, 32)
    with pytest.raises(ModelError, match="multilingual-e5-small"):
        load_encoder("bundled:something-else")
    with pytest.raises(ModelError, match="allow_download"):
        load_encoder("nobody/no-such-model")


def test_the_revision_tells_other_weights_apart(tmp_path):
    a = load_encoder(tiny_encoder(tmp_path / "a"))
    b = load_encoder(tiny_encoder(tmp_path / "b"))
    c = load_encoder(tiny_encoder(tmp_path / "c", dim=16))
    assert a.revision == b.revision != c.revision


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_with_a_file_missing_or_cut_is_refused(tmp_path, name):
    folder = Path(tiny_encoder(tmp_path / "tiny"))
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"cannot be loaded as an encoder .* restore its files"):
        load_encoder(str(folder))
    (folder / name).unlink()
    for look in (load_encoder, check_encoder):
        with pytest.raises(ModelError, match=f"no {name}; an encoder folder holds"):
            look(str(folder))


def test_an_encoder_that_is_not_there_is_found_before_it_is_needed():
    for name in ("./nowhere", "nobody/no-such-model"):
        with pytest.raises(ModelError, match="is no folder and not in the local hub cache"):
            check_encoder(name)
    assert "fetched" in check_encoder("nobody/no-such-model", allow_download=True)
