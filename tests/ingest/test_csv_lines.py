"""Tests reading CSV line by line (RFC 4180): a broken line is quarantined alone, and no other row is lost."""

import csv
import gzip
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenhand.errors import IngestError
from evenhand.ingest.lines import MAX_ROW, Lines, Shape, csv_rows
from evenhand.ingest.readers import read_rows

NAMES = ("case_id", "text", "label", "at")
HEAD = ",".join(NAMES) + "\n"


def read(folder: Path, text: str, *, size: int = 3) -> tuple[dict[int, tuple], dict[int, str]]:
    """The good rows, and the reasons for the bad ones, by line."""
    path = folder / "x.csv"
    path.write_text(text, newline="")
    good, bad = {}, {}
    for chunk in read_rows(path, NAMES, {}, size, prose="text"):
        for row in chunk.bad:
            assert row.row not in good and row.row not in bad
            bad[row.row] = row.reason
        for number, *values in chunk.frame.iter_rows():
            assert number not in good and number not in bad
            good[number] = tuple(values)
    return good, bad


OPEN = "quoted field"


@pytest.mark.parametrize(
    ("lines", "good", "bad"),
    [
        (['a,"open,x,1', 'b,"shut, well",y,2', "c,plain,z,3"], ["b", "c"], {2: OPEN}),
        (['a,"open,x,1', "b,plain,y,2", 'c,"open too,z,3', "d,plain,w,4"], ["b", "d"], {2: OPEN, 4: OPEN}),
        (['a,"open,x,1', "b,plain,y,2"], ["b"], {2: OPEN}),
        (['a,text,x,"1', 'b,"shut",y,2'], ["b"], {2: OPEN}),
        (['a,text,x,"1', "b,plain,y,2"], ["b"], {2: OPEN}),
        (['"a,text,x,1', 'b,", he said",y,2'], ["b"], {2: OPEN}),
        (['a,"open,x,1', 'b,",,\n",y,2'], ["b"], {2: OPEN}),
        (['a,"cut', 'b,"\nbegins low",y,2', "c,plain,z,3"], ["b", "c"], {2: OPEN}),
        (['a,"shut" and on,x,1', "b,plain,y,2"], ["b"], {2: "goes on after its closing quote"}),
        (['a,text,"two\nlines",1', "b,plain,y,2"], ["b"], {2: "not closed", 3: "2 fields"}),
        (['a,"two\nlines",x', "b,plain,y,2"], ["b"], {2: "with which it is 3 fields", 3: "2 fields"}),
        (["", "a,b", 'b,"x ""y""\r\nz",y,2', "c,,z,3"], ["b", "c"], {2: "empty line", 3: "2 fields"}),
    ],
    ids=[
        "open",
        "two open",
        "open, no quote after",
        "last column",
        "last column, no quote after",
        "first column",
        "a text of commas",
        "cut, then a text that begins with a line break",
        "goes on",
        "a name on two lines",
        "ragged over two lines",
        "plain faults",
    ],
)
def test_a_broken_line_is_quarantined_alone(tmp_path, lines, good, bad):
    found, faults = read(tmp_path, HEAD + "\n".join(lines) + "\n")
    assert [values[0] for values in found.values()] == good
    assert list(faults) == list(bad) and all(words in faults[line] for line, words in bad.items())


def test_a_thousand_lines_after_an_open_quote_arrive(tmp_path):
    lines = ['a,"open,x,0', *(f"b{i},plain,y,{i}" for i in range(1_000))]
    good, bad = read(tmp_path, HEAD + "\n".join(lines))
    assert list(good) == list(range(3, 1_003)) and list(bad) == [2]


@pytest.mark.parametrize("first", [False, True], ids=["text in the middle", "text first"])
def test_a_text_of_many_lines_is_read_whole(tmp_path, first):
    names = ["text", "case_id", "label", "at"] if first else list(NAMES)
    texts = [
        "one\ntwo",
        'said, "x",\r\n\r\nwell',
        "\n",
        "a\nlist, of, four, words\nhere",
        "commas, in, the, first\nline",
        ",\n,",
        "1,2,three,four\nfive",
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {"case_id": f"c{i}", "text": text, "label": "x", "at": "1"} for i, text in enumerate(texts)
    )
    good, bad = read(tmp_path, out.getvalue())
    assert not bad and sorted(values[1] for values in good.values()) == sorted(texts)


@pytest.mark.parametrize(
    "lines",
    [['a,"open,x,1', "b,plain,y,2", 'c,a stray one",z,3'], ['a,"hello', "b,planted,y,2", 'bye",x,1']],
    ids=["an open and a stray quote", "a text that quotes a row"],
)
def test_what_reads_well_both_ways_is_not_guessed(tmp_path, lines):
    good, bad = read(tmp_path, HEAD + "\n".join([*lines, "d,plain,w,4"]))
    assert [values[0] for values in good.values()] == ["d"]
    assert list(bad) == [2, 3, 4] and all(
        "may be a row, or part of a quoted field" in why for why in bad.values()
    )


def test_rows_are_numbered_as_an_editor_counts_lines(tmp_path):
    text = HEAD + 'a,"two\nlines",x,1\nshort\n' + "b,plain,y,2\n"
    assert [list(part) for part in read(tmp_path, text)] == [[2, 5], [4]]
    assert [list(part) for part in read(tmp_path, text.replace("\n", "\r\n"))] == [[2, 5], [4]]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_line_without_end_is_passed_over_and_never_held(tmp_path, kind):
    path = tmp_path / f"x.{kind}.gz"
    row = (
        (lambda i, text: f"{i},{text},x,1\r\n")
        if kind == "csv"
        else (lambda i, text: f'{{"case_id": "{i}", "text": "{text}"}}\r\n')
    )
    with gzip.open(path, "wt", newline="", compresslevel=1) as out:
        out.write(HEAD if kind == "csv" else row("first", ""))
        out.write(row("a", "plain"))
        out.write(row("b", ""))
        for _ in range(60):
            out.write("x" * 1_000_000)
        out.write("\r\n" + row("c", "plain"))
    tracemalloc.start()
    chunks = list(read_rows(path, NAMES, {}, 10, prose="text"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [name for chunk in chunks for name in chunk.frame["case_id"]][-3:] == ["a", "b", "c"]
    (bad,) = (row for chunk in chunks for row in chunk.bad)
    assert bad.row == 4 and "has more than 2,000,000 characters" in bad.reason and len(bad.raw) == 1_000
    assert peak < 12 * MAX_ROW


def test_a_header_with_an_open_quote_is_refused(tmp_path):
    with pytest.raises(IngestError, match="the first line names no columns"):
        read(tmp_path, '"case_id,text,label,at\na,b,c,1\n')


def test_a_file_made_to_be_read_again_and_again_is_refused(monkeypatch):
    monkeypatch.setattr("evenhand.ingest.lines.MAX_ROW", 20_000)
    monkeypatch.setattr("evenhand.ingest.lines._AGAIN_FREE", 100_000)
    lines = Lines(Path("x.csv"), io.StringIO('x",,"y\n' * 10_000))
    with pytest.raises(IngestError, match="too many quoted fields are not closed"):
        list(csv_rows(lines, Shape(width=4, names=[0, 2, 3])))


# A text that begins with a comma can look like the end of an open quote. The cases above test this.
_words = st.text(alphabet='ab ,"\n\r', max_size=8).map(lambda text: text.lstrip(',"'))
_fair = st.builds(lambda text, label: ("good", [text, label]), _words, st.sampled_from(["x", "y z"]))
_broken = st.sampled_from(
    [
        'q,"open,x,1',
        'q,"open, well, so,x,1',
        'q,text,x,"1',
        '"q,text,x,1',
        'q,"cut',
        '"',
        'q,"shut"on,x,1',
        "q,short",
        "",
        "q,a,b,c,d",
        'q,"a ""b"" c,x,1',
        ",,,,,,",
        'q,text,"x,1',
    ]
).map(lambda line: ("broken", [line]))


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(_fair | _broken, max_size=12),
    style=st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL)]),
)
def test_broken_lines_planted_among_good_rows_change_none_of_them(tmp_path_factory, parts, style):
    end, quoting = style
    out, wanted, line = HEAD + "first,plain,x,0" + end, {2: ("first", "plain", "x", "0")}, 3
    for i, (kind, words) in enumerate(parts):
        if kind == "good":
            row = (f"c{i}", *words, str(i))
            one = io.StringIO()
            csv.writer(one, lineterminator=end, quoting=quoting).writerow(row)
            wanted[line] = row
            text = one.getvalue()
        else:
            text = words[0] + end
        out += text
        line += len(list(io.StringIO(text, newline="")))
    good, bad = read(tmp_path_factory.mktemp("f"), out)
    assert good == wanted
    covered = [*bad, *(n + i for n, row in good.items() for i in range(_lines_of(row)))]
    assert sorted(covered) == list(range(2, line))


def _lines_of(values: tuple | list) -> int:
    """Lines of a good row: its text may hold line ends of each kind, also right before its closing quote."""
    return len(list(io.StringIO("".join(f'"{value}"' for value in values), newline="")))


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet='",\n\ra', max_size=60))
def test_in_a_soup_of_quotes_every_line_is_somewhere_exactly_once(text):
    lines = Lines(Path("x.csv"), io.StringIO(text, newline=""))
    covered = [
        row.number + i
        for row in csv_rows(lines, Shape(width=2, names=[0]))
        for i in range(1 if row.fault else max(1, _lines_of(row.values)))
    ]
    assert covered == list(range(1, 1 + len(list(io.StringIO(text, newline="")))))
