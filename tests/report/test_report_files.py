"""Reads the four files of a report back: all have the same figures, and every rate has its reviews.

Nothing in them runs, and nothing private is in them.
"""

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import openpyxl
import polars as pl
import pytest
from pptx import Presentation
from worlds.scored_world import AT, build, draw, rule

from cli.main import main
from evenhand.rates.question import Question
from evenhand.report.deck import FULL, clipped, needed, paged
from evenhand.report.dsa import scopes
from evenhand.report.model import collect
from evenhand.report.tables import tables
from evenhand.report.write import WRITERS, writer_for
from evenhand.report.write_csv import neutral
from evenhand.report.write_xlsx import sheet_name
from evenhand.synthetic import generate

NAMES = {
    "TH": "ประเทศไทยและศูนย์ตรวจสอบเนื้อหาภาคตะวันออกเฉียงใต้",
    "SA": "المملكة العربية السعودية ومركز المراجعة الإقليمي",
    "US": '=HYPERLINK("http://localhost/x","y")',
    "PH": "<script>alert(1)</script>",
    "MX": "@SUM(1+1)",
    "VN": "-2+3 an unbroken name_" + "x" * 90,
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A workspace whose markets have long, right-to-left and hostile names; (workspace, store, truth)."""
    root = tmp_path_factory.mktemp("hostile")
    generate(seed=5, decisions=4_000, rulings=100, out_dir=root / "truth")
    file = root / "truth" / "decisions.csv.gz"
    rows = pl.read_csv(file, infer_schema=False).with_columns(pl.col("market").replace(NAMES))
    rows.write_csv(root / "truth" / "plain.csv")
    file.unlink()
    subprocess.run(["gzip", root / "truth" / "plain.csv"], check=True)
    (root / "truth" / "plain.csv.gz").rename(file)
    world = build(root / "w", root / "truth")
    rule(world, draw(world, budget=500), take=450)
    found = {"rate": 0.2, "low": 0.1, "high": 0.3, "n_reviewed": 40, "status": "measured"}
    world[1].open_improvement(
        {"queue": "live"}, found, by="m", at=AT, owner="=cmd|' /C calc'!A0", action="x " * 400, cause="slip"
    )
    yield world
    world[1].close()


@pytest.fixture(scope="module")
def written(hostile, tmp_path_factory):
    """The report, and its four files by their ending."""
    folder = tmp_path_factory.mktemp("written")
    report = collect(hostile[0], hostile[1], Question(since=AT.date().replace(month=2, day=16)), made_at=AT)
    files = {}
    for kind in WRITERS:
        files[kind] = folder / f"report{kind}"
        writer_for(files[kind])(report, files[kind])
    return report, files


class Page(HTMLParser):
    """An HTML page: tables as lists of rows of cells, tags with their attributes, and the visible text."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.tags, self.words, self.captions = [], [], [], 0
        self._cell: list[str] | None = None
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.captions += tag == "caption"
        self._style = tag == "style"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self._cell is not None:
            self.tables[-1][-1].append(" ".join("".join(self._cell).split()))
            self._cell = None
        self._style = False if tag == "style" else self._style

    def handle_data(self, data):
        if not self._style:
            self.words.append(data)
        if self._cell is not None:
            self._cell.append(f" {data}")


def slide_texts(slide):
    for shape in slide.shapes:
        if shape.has_text_frame:
            yield shape.text_frame.text
        if shape.has_table:
            yield from (cell.text for row in shape.table.rows for cell in row.cells)
        if shape.has_chart:
            yield from (str(name) for name in shape.chart.plots[0].categories)


def all_text(kind, file):
    """All text that a reader can see in a file."""
    if kind == ".xlsx":
        book = openpyxl.load_workbook(file)
        return "\n".join(str(v) for sheet in book for row in sheet.values for v in row if v is not None)
    if kind == ".pptx":
        pages = Presentation(file).slides
        return "\n".join(
            [t for page in pages for t in (*slide_texts(page), page.notes_slide.notes_text_frame.text)]
        )
    return file.read_text(encoding="utf-8")


def test_the_spreadsheet_holds_the_tables_with_their_figures(written):
    report, files = written
    book = openpyxl.load_workbook(files[".xlsx"])
    for table in tables(report):
        sheet = book[sheet_name(table)]
        heads = [cell.value for cell in sheet[5]][: len(table.columns)]
        assert heads == [column.name for column in table.columns]
        for row, cells in enumerate(table.rows, start=6):
            for column, cell in enumerate(cells, start=1):
                found = sheet.cell(row, column).value
                if isinstance(cell, float):
                    factor = 100 if table.columns[column - 1].kind == "points" else 1
                    assert found == pytest.approx(factor * cell, abs=1e-12)
                elif isinstance(cell, str):
                    assert (found or "") == neutral(cell)
    market = book["Market"]
    assert market.freeze_panes is not None and market["C6"].number_format == "0.0%"
    assert len(market._charts) == 2 and len(book["Trend"]._charts) == 1 and len(book["Summary"]._charts) == 1


def test_every_rate_in_the_spreadsheet_has_interval_and_reviews(written):
    for table in tables(written[0]):
        names = [column.name for column in table.columns]
        for number, name in enumerate(names):
            if name in ("Rate", "Accuracy", "Difference"):
                assert names[number + 1 : number + 3] == ["Low", "High"]
        assert "Reviewed" in names and (table.key == "areas" or "Decisions" in names)


def test_intervals_are_error_bars_of_native_charts(written):
    report, files = written
    split = report.split("market")
    chart = openpyxl.load_workbook(files[".xlsx"])["Market"]._charts[0]
    assert chart.series[0].errBars.errValType == "cust"
    charts = [s.chart for page in Presentation(files[".pptx"]).slides for s in page.shapes if s.has_chart]
    assert len(charts) >= 6
    for page in Presentation(files[".pptx"]).slides:
        for shape in page.shapes:
            assert (
                not shape.has_chart
                or "n " in shape._element.nvGraphicFramePr.cNvPr.get("descr")
                or "Error rate by" in shape.name
            )
    for one in charts:
        for series in one.plots[0].series:
            bars = series._element.findall(".//{*}errBars")
            assert len(bars) == 1
            drawn = {p.get("idx"): float(p[0].text) for p in bars[0].findall("{*}plus//{*}pt")}
            known = {str(i) for i, value in enumerate(series.values) if value is not None}
            assert set(drawn) == known and all(reach >= 0 for reach in drawn.values())
    bars = next(one for one in charts if any("…" in name for name in one.plots[0].categories))
    totals = [r.total if r.total.status == "measured" else None for r in split.rows]
    drawn = bars.plots[0].series[0]
    assert drawn.values == tuple(total.rate if total else None for total in totals)
    sheet = openpyxl.load_workbook(files[".xlsx"])["Chart data"]
    cells = [int(number) for number in re.findall(r"\$(\d+)", chart.series[0].val.numRef.f)]
    for end, column, place in (("high", 3, "plus"), ("low", 4, "minus")):
        reach = [abs(getattr(total, end) - total.rate) if total else None for total in totals]
        points = drawn._element.findall(f".//{{*}}errBars/{{*}}{place}//{{*}}pt")
        assert [float(p[0].text) for p in points] == pytest.approx([x for x in reach if x is not None])
        below = [sheet.cell(row, column).value for row in range(cells[0], cells[1] + 1)]
        assert below == [None if x is None else pytest.approx(x) for x in reach]


def test_the_deck_says_what_a_manager_presents_and_how_it_was_measured(written):
    report, files = written
    pages = list(Presentation(files[".pptx"]).slides)
    titles = [page.shapes.title.text_frame.text for page in pages]
    for title in (
        "How often is moderation wrong?",
        "In short",
        "Error rate by market",
        "By market and area",
        "Improvement areas",
        "What is confused with what",
        "How it was measured",
    ):
        assert title in titles
    assert any("never netted" in title for title in titles)
    for page in pages:
        assert "inclusion" in page.notes_slide.notes_text_frame.text or "chance of being drawn" in (
            page.notes_slide.notes_text_frame.text
        )
    total = report.overall.total
    figure = f"{total.low:.1%} to {total.high:.1%}, {total.n_reviewed:,} reviewed"
    assert any(figure in text for text in slide_texts(pages[0]))


def dsa_slides(file):
    title = "Indicators of accuracy by language, for the DSA"
    return [page for page in Presentation(file).slides if page.shapes.title.text_frame.text.startswith(title)]


def test_the_deck_has_the_dsa_table_before_the_method_with_its_source_and_what_it_is_not(written):
    report, files = written
    titles = [page.shapes.title.text_frame.text for page in Presentation(files[".pptx"]).slides]
    first = next(n for n, title in enumerate(titles) if title.endswith("for the DSA"))
    assert titles.index("Improvement areas") < first < titles.index("How it was measured")
    (page,) = dsa_slides(files[".pptx"])
    rows = next(
        [[cell.text for cell in row.cells] for row in s.table.rows] for s in page.shapes if s.has_table
    )
    assert len(rows) == len(report.languages.rows) + 2
    shown = {row[0]: row for row in rows[1:]}
    for rates in report.languages.rows:
        total, row = rates.total, shown[rates.domain["language"]]
        if total.status == "measured":
            assert row[2] == f"{1 - total.rate:.1%} ({1 - total.high:.1%} to {1 - total.low:.1%})"
            assert row[5] == f"{total.rate:.1%} ({total.low:.1%} to {total.high:.1%})"
        else:
            assert row[2] == row[5] == "not known yet"
        assert row[6:] == [f"{total.n_reviewed:,}", f"{total.population:,}"]
    # the star marks an official language of the EU
    assert (shown["en"][1], shown["th"][1]) == ("English *", "Thai")
    small = [
        paragraph
        for shape in page.shapes
        if shape.has_text_frame
        for paragraph in shape.text_frame.paragraphs
        if paragraph.runs and paragraph.runs[0].font.size.pt <= 9
    ]
    words = " ".join(paragraph.text for paragraph in small)
    assert "Precision: of moderators' decisions to enforce, as ingested" in words
    assert "(EU) 2024/2835" in words and "no indicator of automated means alone" in words


def test_precision_and_recall_are_the_same_in_sheet_page_slide_and_table(written):
    report, files = written
    with files[".csv"].open(encoding="utf-8", newline="") as lines:
        table = [row for row in csv.DictReader(lines) if row["table"] == "dsa" and row["measure"]]
    sheet = [list(row) for row in openpyxl.load_workbook(files[".xlsx"])["DSA"].values]
    page = next(
        table
        for table in Page(files[".html"].read_text(encoding="utf-8")).tables
        if any("Precision" in head for head in table[0])
    )
    slide = next(s.table for s in dsa_slides(files[".pptx"])[0].shapes if s.has_table)
    heads = next(row for row in sheet if "Precision" in row)
    for scope in scopes(report):
        language = scope.rates.domain.get("language", "")
        name = language or "Total number"
        cells = next(row for row in sheet if row[0] == name)
        shown = next(row for row in page if row[0] == name)
        said = next([cell.text for cell in row.cells] for row in slide.rows if row.cells[0].text == name)
        for place, (measure, one) in enumerate((("precision", scope.precision), ("recall", scope.recall))):
            (row,) = [r for r in table if (r["language"], r["measure"]) == (language, measure)]
            assert int(row["n_reviewed"]) == scope.rates.total.n_reviewed
            at = heads.index(measure.capitalize())
            asked = f"“Accuracy of the automated means - {measure.capitalize()}”"
            on_page = shown[[asked in h for h in page[0]].index(True)]
            assert [float(row[end]) for end in ("low", "high")] == pytest.approx([one.low, one.high])
            assert cells[at + 1 : at + 3] == pytest.approx([one.low, one.high])
            ends = f"{one.low:.1%} to {one.high:.1%}"
            if one.status == "measured":
                assert float(row["rate"]) == cells[at] == pytest.approx(one.rate)
                assert row["status"] == "measured"
                assert on_page == f"{one.rate:.1%} {ends}" and said[3 + place] == f"{one.rate:.1%} ({ends})"
            else:
                assert row["rate"] == "" and row["status"] == cells[at] == said[3 + place] == "not known yet"
                assert on_page == f"not known yet {ends}"


def test_where_nothing_was_enforced_every_file_says_so_in_words(written, tmp_path):
    report, _ = written
    language = report.languages.rows[0].domain["language"]
    other = replace(report, enforced={**report.enforced, language: 0.0})
    for kind in WRITERS:
        file = tmp_path / f"none{kind}"
        writer_for(file)(other, file)
        assert "no enforcement" in all_text(kind, file)
        assert "no enforcement" not in all_text(kind, written[1][kind])


def test_a_long_dsa_table_goes_on_on_further_slides_and_loses_no_language(written, tmp_path):
    report = written[0]
    rows = report.languages.rows
    codes = [f"en-{number:03}" for number in range(60)]
    many = tuple(replace(rows[n % len(rows)], domain={"language": code}) for n, code in enumerate(codes))
    enforced = {**report.enforced, **dict.fromkeys(codes, 0.3)}
    long = replace(report, languages=replace(report.languages, rows=many), enforced=enforced)
    file = tmp_path / "long.pptx"
    writer_for(file)(long, file)
    pages = dsa_slides(file)
    assert len(pages) > 2 and all("(continued)" in p.shapes.title.text_frame.text for p in pages[1:])
    found = [
        row.cells[0].text
        for page in pages
        for s in page.shapes
        if s.has_table
        for row in list(s.table.rows)[1:]
    ]
    assert found == ["Total number", *codes]
    assert all(any("2024/2835" in text for text in slide_texts(page)) for page in pages)
    stays_on_its_slides(Presentation(file))


def test_nothing_of_the_deck_runs_out_of_its_slide(written):
    stays_on_its_slides(Presentation(written[1][".pptx"]))


def stays_on_its_slides(deck):
    for page in deck.slides:
        for shape in page.shapes:
            assert shape.left >= 0 and shape.left + shape.width <= deck.slide_width
            height = sum(row.height for row in shape.table.rows) if shape.has_table else shape.height
            assert shape.top >= 0 and shape.top + height <= deck.slide_height
            if shape.has_text_frame and shape.text_frame.text and shape != page.shapes.title:
                texts = [p.text for p in shape.text_frame.paragraphs]
                size = shape.text_frame.paragraphs[0].runs[0].font.size.pt
                assert needed(texts, shape.width / 914400, size) <= (deck.slide_height - shape.top) / 914400


def test_the_page_fetches_nothing_runs_nothing_and_prints(written):
    text = written[1][".html"].read_text(encoding="utf-8")
    page = Page(text)
    assert not re.search(r"(?:src|href)=\"(?!#)", text) and "url(" not in text and "@import" not in text
    assert "script" not in {tag for tag, _ in page.tags}
    assert "&lt;script&gt;" in text
    assert page.captions == len(page.tables) >= 8
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    assert [attrs.get("lang") for tag, attrs in page.tags if tag == "html"] == ["en"]
    images = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert all(attrs.get("aria-hidden") or attrs.get("aria-label") for attrs in images)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    links = [attrs["href"][1:] for tag, attrs in page.tags if tag == "a"]
    assert len(ids) == len(set(ids)) and set(links) <= set(ids)


def test_the_page_says_the_same_figures_and_tells_modelled_apart_in_words(written):
    report, files = written
    page = Page(files[".html"].read_text(encoding="utf-8"))
    market = next(table for table in page.tables if table[0][:2] == ["Market", "Status"])
    for row, rates in zip(market[1:], report.split("market").rows, strict=True):
        total = rates.total
        rate = f"{total.rate:.1%}" if total.status == "measured" else "not known yet"
        assert row[0] == rates.domain["market"] and row[1] == (
            "measured" if total.status == "measured" else rate
        )
        assert row[3].startswith(rate) and f"{total.low:.1%} to {total.high:.1%}" in row[3]
        assert row[4].split()[0] == f"{total.n_reviewed:,}"
    cells = next(table for table in page.tables if table[0][:2] == ["Market", "Area"])
    for row, rates in zip(cells[1:], report.split("market", "area").rows, strict=True):
        assert ("modelled" in row[4]) == (rates.modelled is not None) == (row[2] == "modelled only")


def test_the_long_table_holds_every_estimate_with_its_reviews(written):
    report, files = written
    with files[".csv"].open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    rates = [row for row in rows if row["measure"] in ("error rate", "accuracy", "possible rate of error")]
    assert rates and all(row["n_reviewed"] and row["population"] and row["status"] for row in rates)
    assert all(row["rate"] for row in rates if row["status"] != "not known yet")
    assert all(row["low"] and row["high"] for row in rates if row["rate"])
    by_market = [r for r in rows if (r["table"], r["outcome"]) == ("by market", "under_enforcement")]
    found = {row["market"]: row["rate"] and float(row["rate"]) for row in by_market}
    expected = {
        neutral(r.domain["market"]): e.rate if e.status == "measured" else ""
        for r in report.split("market").rows
        for e in [r.under_enforcement]
    }
    assert found == expected
    modelled = [row for row in rows if row["status"] == "modelled"]
    assert len(modelled) == sum(r.modelled is not None for r in report.split("market", "area").rows) > 0
    assert {row["method"] for row in modelled} == {"hierarchical"}


@pytest.mark.parametrize("kind", [".xlsx", ".csv"])
def test_no_cell_is_a_formula(written, kind):
    file = written[1][kind]
    if kind == ".csv":
        with file.open(encoding="utf-8", newline="") as lines:
            cells = [cell for row in csv.reader(lines) for cell in row]
        bad = [c for c in cells if c.startswith(("=", "+", "@", "\t", "\r")) or re.match(r"-[^0-9.]", c)]
    else:
        book = openpyxl.load_workbook(file)
        every = [
            cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None
        ]
        assert all(cell.data_type != "f" for cell in every)
        cells = [cell.value for cell in every if isinstance(cell.value, str)]
        bad = [c for c in cells if c.startswith(("=", "+", "-", "@"))]
    assert not bad
    assert any(c.startswith("'=HYPERLINK") for c in cells) and any(c.startswith("'=cmd") for c in cells)


@pytest.mark.parametrize("kind", WRITERS)
def test_no_case_and_no_moderator_is_in_a_report(hostile, written, kind):
    said = all_text(kind, written[1][kind])
    items = hostile[1].items(written[0].draws[0].record.draw_id)
    for column in ("text", "case_id", "moderator_id", "decision_id"):
        values = [value for value in items[column].unique() if value.strip()]
        assert len(values) > 10
        shown = [value for value in values if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", said)]
        assert not shown, f"{column} in {kind}"


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_cannot_be_written_leaves_what_was_there(written, tmp_path, kind, monkeypatch):
    target = tmp_path / f"report{kind}"
    target.write_text("before")
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(Exception, match="cannot be written"):
        writer_for(target)(written[0], target)
    assert target.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == [target.name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [".xlsx", ".pptx"])
def test_an_office_suite_opens_it(written, tmp_path, kind):
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice (soffice) is not on this machine; opening the files in it is not tested")
    home = f"-env:UserInstallation=file://{tmp_path}/profile"
    call = [office, home, "--headless", "--convert-to", "pdf", "--outdir", tmp_path, written[1][kind]]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, check=False)
    pdf = tmp_path / "report.pdf"
    assert done.returncode == 0 and pdf.exists(), done.stderr
    assert pdf.read_bytes().startswith(b"%PDF") and pdf.stat().st_size > 20_000


def test_the_command_writes_several_files_and_says_so(hostile, tmp_path, capsys):
    files = [tmp_path / f"r{kind}" for kind in (".csv", ".HTML")]
    options = [part for file in files for part in ("--out", str(file))]
    root = str(hostile[0].root)
    assert (
        main(["-w", root, "report", *options, "--where", "queue=live", "--by", "team,market+team", "--json"])
        == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in said["files"]] == [str(file) for file in files]
    assert all(
        one["bytes"] == file.stat().st_size > 0 for one, file in zip(said["files"], files, strict=True)
    )
    assert said["overall"]["total"]["n_reviewed"] > 0
    assert "By market and team" in files[1].read_text(encoding="utf-8")
    assert main(["-w", root, "report", "--out", str(files[0])]) == 0
    assert f"wrote {files[0]}" in capsys.readouterr().out


def test_long_texts_are_cut_or_carried_on_and_no_word_is_lost():
    text = " ".join(f"word{n}" for n in range(2_000))
    pages = paged(["short", text, "end"], FULL, 5.5, 14)
    assert len(pages) > 1
    assert " ".join(part for page in pages for part in page).split() == ["short", *text.split(), "end"]
    assert all(needed(page, FULL, 14, gap=0.5) <= 5.5 for page in pages)
    assert "".join(part for page in paged(["y" * 9_000], FULL, 5.5, 14) for part in page) == "y" * 9_000
    cut = clipped(text, 2.0, 0.5, 11)
    assert cut.endswith("…") and needed([cut], 2.0, 11) <= 0.5
    assert clipped("short", 2.0, 0.5, 11) == "short"
