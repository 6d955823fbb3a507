"""Tests how a text is split into words, in scripts with and without spaces."""

import time

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from models.explain.split_words import joined_runs, words

TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("กาน้ำแม่เด็ก今日は天気公园去ﾃﾚﾋﾞ가나م\u200d\ufe0f👩👧🇧🇷\u0301ລາວខ្មែរမြန်"),
    ),
    max_size=40,
)


def cut(text: str) -> list[str]:
    return [text[a:b] for a, b in words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("วันนี้แมวกินข้าว", ["วัน", "นี้", "แมว", "กิน", "ข้าว"]),
        ("เพื่อนของฉันชอบดื่มชา", ["เพื่อน", "ของ", "ฉัน", "ชอบ", "ดื่ม", "ชา"]),
        ("我们明天去公园吃午饭。", ["我们", "明天", "去", "公园", "吃", "午饭"]),
        ("我們明天去公園吃午飯。", ["我們", "明天", "去", "公園", "吃", "午飯"]),
        ("今日は公園で弁当を食べました。", ["今日は", "公園で", "弁当を", "食べました"]),
        ("パンを買って、家に帰ります", ["パンを", "買って", "家に", "帰ります"]),
        ("แมวชอบcakeมาก", ["แมว", "ชอบ", "cake", "มาก"]),
        ("don't tag @me_too #tea-time", ["don't", "tag", "@me_too", "#tea-time"]),
        ("مرحبا بكم في الحديقة!", ["مرحبا", "بكم", "في", "الحديقة"]),
        ("오늘은 날씨가 좋아요", ["오늘은", "날씨가", "좋아요"]),
        ("ok 👨‍👩‍👧👍🏽🇧🇷🇸🇦1️⃣", ["ok", "👨‍👩‍👧", "👍🏽", "🇧🇷", "🇸🇦", "1️⃣"]),
        ("", []),
        (" \n.,! ", []),
    ],
)
def test_words_are_cut_where_a_reader_would(text, expected):
    assert cut(text) == expected


def test_lao_khmer_and_burmese_are_cut_into_short_runs_of_whole_clusters():
    for text in ("ສະບາຍດີຕອນເຊົ້າ", "សួស្តីពេលព្រឹក", "မင်္ဂလာနံနက်ခင်းပါ"):
        found = cut(text)
        assert "".join(found) == text and len(found) > 1
        assert all(len(regex.findall(r"\X", piece)) <= 3 for piece in found)


@given(TEXTS)
def test_words_are_in_order_and_never_cut_a_grapheme_cluster(text):
    edges = {0, *(match.end() for match in regex.finditer(r"\X", text))}
    at = 0
    for start, end in words(text):
        assert at <= start < end and {start, end} <= edges
        at = end


@given(TEXTS, st.integers(0, 40))
def test_the_beginning_of_a_text_has_the_words_of_the_text(text, within):
    assert words(text, within) == [span for span in words(text) if span[0] < within]


@given(TEXTS, st.integers(1, 10))
def test_runs_hold_all_words_and_cut_none(text, limit):
    whole = words(text)
    found = joined_runs(whole, limit)
    assert len(found) == min(limit, len(whole))
    starts, ends = {a for a, _ in whole}, {b for _, b in whole}
    assert all(a in starts and b in ends for a, b in found)
    assert all(any(a <= s and e <= b for a, b in found) for s, e in whole)


@pytest.mark.parametrize(
    "text", ["ก" * 100_000, "x" * 100_000, "天" * 100_000, "مرحبا " * 17_000, "か天" * 50_000]
)
def test_a_very_long_text_costs_its_beginning(text):
    words(text, 2_000)
    began = time.perf_counter()
    assert words(text, 2_000)
    assert time.perf_counter() - began < 1.0
