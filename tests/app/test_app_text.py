"""Tests how texts are shown on a page: escaped, marked, blurred, in their own direction."""

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from app.text import as_said, as_typed, case_text, marked

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=60)
SPANS = st.lists(
    st.fixed_dictionaries(
        {
            "start": st.integers(-5, 70),
            "end": st.integers(-5, 70),
            "weight": st.floats(-1, 1, allow_nan=False),
        }
    ),
    max_size=6,
)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.seen = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.seen += data


@given(TEXTS, SPANS)
def test_no_text_and_no_span_breaks_the_page_or_loses_a_character(text, spans):
    reader = Reader()
    reader.feed(marked(text, spans))
    reader.close()
    assert reader.seen == text
    assert set(reader.tags) <= {"mark"}


def test_spans_are_marked_where_they_stand():
    spans = [{"start": 3, "end": 7, "weight": 1.0}, {"start": 0, "end": 2, "weight": -0.5}]
    assert marked("so <bad> it", spans) == ('<mark class="eh-against">so</mark> <mark>&lt;bad</mark>&gt; it')


def test_a_blurred_text_shows_no_marks_and_is_hidden_from_readers():
    html = case_text("follow me", "en", spans=[{"start": 0, "end": 6, "weight": 1}], blurred=True)
    assert "eh-blur" in html and "<mark" not in html and 'aria-hidden="true"' in html


def test_direction_and_language_are_left_to_the_text():
    html = case_text("مرحبا", 'ar" onload="x', blurred=False)
    assert 'dir="auto"' in html and 'onload="x"' not in html


def test_an_empty_text_says_so():
    assert "(no text)" in case_text(" \n", "und", blurred=False)


PLANTED = ' ![x](http://evil.example/p.png) <img src="http://evil.example/i.png"> [a](http://evil.example/a) `![y](z)'


def test_an_error_that_names_data_stays_text_and_its_command_stays_code():
    assert (
        as_said("no user '[a]'; add `evenhand user add x`") == r"no user '\[a\]'; add `evenhand user add x`"
    )
    for said in (as_said("`" + PLANTED), as_said(PLANTED + "`"), as_said("``" + PLANTED + "```" + PLANTED)):
        outside = re.sub(r"(?<![`\\])`[^`\n]+`(?!`)", "", said)
        assert not re.search(r"(?<!\\)[\[\]<>!`]", outside), outside
    assert as_typed(PLANTED).count(r"\!\[x\]") == 1
