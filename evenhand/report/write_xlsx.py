"""The report as a spreadsheet: a sheet for each table, and native charts with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from evenhand.report.charts import Chart, Series, kinds_chart, scale, split_chart, trend_chart
from evenhand.report.columns import Cell, Column, Table
from evenhand.report.method import method
from evenhand.report.model import Report, Split
from evenhand.report.narrative import narrative
from evenhand.report.palette import BLUE, GREY, INK, KIND_COLOURS, LINE, PALE, VERSION_COLOURS
from evenhand.report.tables import tables
from evenhand.report.write_csv import neutral
from evenhand.wording.words import UNKNOWN, spoken
from evenhand.workspace.files import atomic_path

_FORMATS = {
    "percent": "0.0%",
    "points": '+0.0" points";-0.0" points";0.0" points"',
    "count": "#,##0",
    "decimal": "#,##0",
    "day": "d mmm yyyy",
}
_FIRST = 3  # the row, from 0, of the column groups; the names are below it and the data follows
_WIDTHS = {"percent": 9, "points": 12, "count": 11, "decimal": 11, "day": 13}
_WIDEST = 46
_GROUP = 24  # a group's name with more letters than this needs two lines
_DATA = "Chart data"


def write_xlsx(report: Report, target: Path) -> None:
    """Write the report to `target`, whole or not at all."""
    with atomic_path(target) as part:
        plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
        with xlsxwriter.Workbook(str(part), {**plain, "in_memory": True}) as book:
            book.set_properties(
                {"title": f"Error rates, {report.period}", "created": report.made_at.replace(tzinfo=None)}
            )
            _Sheets(book, report).write()


class _Sheets:
    """The sheets of one workbook."""

    def __init__(self, book: xlsxwriter.Workbook, report: Report) -> None:
        self.book, self.report = book, report
        # of the data sheet: first row, and the chart whose data is there
        self.blocks: list[tuple[int, Chart]] = []
        base = {"font_name": "Arial", "font_size": 10, "font_color": INK, "valign": "top"}
        self.base = book.add_format(base)
        self.text = book.add_format({**base, "text_wrap": True, "indent": 1})
        self.title = book.add_format({**base, "font_size": 16, "bold": True})
        self.grey = book.add_format({**base, "font_color": GREY, "text_wrap": True})
        self.unknown = book.add_format({**base, "italic": True, "font_color": GREY, "align": "right"})
        head = {
            **base,
            "bold": True,
            "bg_color": PALE,
            "text_wrap": True,
            "bottom": 1,
            "border_color": LINE,
            "indent": 1,
        }
        self.head = book.add_format(head)
        self.head_right = book.add_format({**head, "align": "right"})
        self.group = book.add_format(
            {**base, "bold": True, "bg_color": PALE, "align": "center", "text_wrap": True}
        )
        self.numbers = {
            kind: book.add_format({**base, "num_format": style}) for kind, style in _FORMATS.items()
        }

    def write(self) -> None:
        """Write all sheets, in the order in which they are read."""
        texts = narrative(self.report)
        summary = self._texts("Summary", f"Error rates, {self.report.period}", texts)
        for chart, _ in self._trend():
            summary.insert_chart(len(texts) + 4, 0, chart, {"description": "Error rates over time"})
        for table in tables(self.report):
            sheet, end = self._table(table)
            down = 0
            for chart, tall in self._charts(table):
                sheet.insert_chart(end + 2, 0, chart, {"y_offset": down, "description": table.title})
                down += tall + 20
        self._texts("Method", "Method", method(self.report))
        self._chart_data()

    def _texts(self, name: str, title: str, texts: Sequence[str]) -> Any:
        sheet = self._sheet(name)
        sheet.set_column(0, 0, 120, self.text)
        sheet.write_string(0, 0, title, self.title)
        sheet.set_row(0, 26)
        sheet.fit_to_pages(1, 1)
        sheet.write_string(1, 0, f"Made {self.report.made_at:%Y-%m-%d %H:%M} UTC by Evenhand", self.grey)
        for row, text in enumerate(texts, start=3):
            sheet.write_string(row, 0, neutral(text), self.text)
            sheet.set_row(row, 13.5 * (1 + len(text) // 132) + 5)
        return sheet

    def _sheet(self, name: str) -> Any:
        sheet = self.book.add_worksheet(name)
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        return sheet

    def _table(self, table: Table) -> tuple[Any, int]:
        """The sheet of a table, and the number of its last row."""
        sheet = self._sheet(sheet_name(table))
        sheet.write_string(0, 0, table.title, self.title)
        sheet.set_row(0, 26)
        sheet.set_row(_FIRST + 1, 28)
        span = min(max(len(table.columns) - 1, 1), 11)
        sheet.merge_range(1, 0, 1, span, table.caption, self.grey)
        sheet.set_row(1, 13.5 * (1 + len(table.caption) // 110) + 4)
        self._heads(sheet, table)
        for row, cells in enumerate(table.rows, start=_FIRST + 2):
            for column, cell in enumerate(cells):
                self._cell(sheet, row, column, cell, table.columns[column])
        if not table.rows:
            sheet.write_string(_FIRST + 2, 0, "nothing to show in this period", self.grey)
        names = sum(column.kind == "text" and not column.group for column in table.columns[:3])
        sheet.freeze_panes(_FIRST + 2, max(names, 1) if len(table.columns) > 8 else 0)
        sheet.repeat_rows(_FIRST, _FIRST + 1)
        return sheet, _FIRST + 1 + max(len(table.rows), 1)

    def _heads(self, sheet: Any, table: Table) -> None:
        if max(len(column.group) for column in table.columns) > _GROUP:
            sheet.set_row(_FIRST, 28)
        start = 0
        while start < len(table.columns):
            group = table.columns[start].group
            end = start
            while end + 1 < len(table.columns) and table.columns[end + 1].group == group:
                end += 1
            if group and end > start:
                sheet.merge_range(_FIRST, start, _FIRST, end, group, self.group)
            else:
                for empty in range(start, end + 1):
                    sheet.write_blank(_FIRST, empty, None, self.group)
            start = end + 1
        for number, column in enumerate(table.columns):
            words = [len(str(row[number])) for row in table.rows if isinstance(row[number], str)]
            width = _WIDTHS.get(column.kind) or min(max(10, len(column.name) + 2, *words, 0) + 1, _WIDEST)
            width = max(width, len(column.name) // 2 + 3)
            if column.kind != "text" and UNKNOWN in {row[number] for row in table.rows}:
                width = max(width, 14)
            sheet.set_column(number, number, width)
            head = self.head if column.kind in ("text", "day") else self.head_right
            sheet.write_string(_FIRST + 1, number, column.name, head)

    def _cell(self, sheet: Any, row: int, column: int, cell: Cell, about: Column) -> None:
        if cell is None:
            return
        if isinstance(cell, str):
            style = self.text if about.kind == "text" else self.unknown
            sheet.write_string(row, column, neutral(cell), style)
        elif isinstance(cell, date):
            sheet.write_datetime(row, column, cell, self.numbers["day"])
        else:
            value = 100 * cell if about.kind == "points" else cell
            sheet.write_number(row, column, value, self.numbers[about.kind])

    def _charts(self, table: Table) -> list[tuple[Any, int]]:
        """The native charts of a table's sheet, and the height of each in pixels."""
        if table.key == "trend":
            return self._trend()
        split = next((s for s in self.report.splits if "+".join(s.by) == table.key), None)
        if split is None or len(split.by) > 1 or not split.rows:
            return []
        data = (split_chart(self.report, split, split.rows), kinds_chart(self.report, split, split.rows))
        return [self._bars(chart, split) for chart in data if not chart.empty]

    def _chart_data(self) -> None:
        """The sheet with the charts' data, the last one in the book."""
        sheet = self._sheet(_DATA)
        sheet.set_column(0, 0, 44)
        sheet.set_column(1, 12, 14)
        for first, chart in self.blocks:
            sheet.write_string(first, 0, f"{chart.title}", self.head)
            for number, one in enumerate(chart.series):
                columns = (
                    (one.name, one.rate),
                    ("above", _reach(one, one.high)),
                    ("below", _reach(one, one.low)),
                )
                for column, (name, values) in enumerate(columns, start=1 + 3 * number):
                    sheet.write_string(first, column, name, self.head_right)
                    for row, value in enumerate(values, start=first + 1):
                        if value is not None:
                            sheet.write_number(row, column, value, self.numbers["percent"])
            for row, category in enumerate(chart.categories, start=first + 1):
                sheet.write_string(row, 0, neutral(category), self.text)

    def _series(self, chart: Chart) -> list[dict[str, Any]]:
        """A native series for each series of the chart, with its cells on the data sheet."""
        first = self.blocks[-1][0] + len(self.blocks[-1][1].categories) + 2 if self.blocks else 0
        self.blocks.append((first, chart))
        top, end = first + 1, first + len(chart.categories)

        def cells(column: int) -> str:
            return f"='{_DATA}'!${xl_col_to_name(column)}${top + 1}:${xl_col_to_name(column)}${end + 1}"

        return [
            {
                "name": one.name,
                "categories": cells(0),
                "values": cells(1 + 3 * number),
                "y_error_bars": {
                    "type": "custom",
                    "plus_values": cells(2 + 3 * number),
                    "minus_values": cells(3 + 3 * number),
                    "line": {"color": INK, "width": 1},
                },
            }
            for number, one in enumerate(chart.series)
        ]

    def _trend(self) -> list[tuple[Any, int]]:
        """The chart of the trend; none if no part is known."""
        data = trend_chart(self.report)
        if data.empty:
            return []
        chart = self.book.add_chart({"type": "line"})
        for number, series in enumerate(self._series(data)):
            colour = VERSION_COLOURS[number % len(VERSION_COLOURS)]
            filled = {"fill": {"color": colour}, "border": {"color": colour}}
            marker = {"type": "circle", "size": 6, **filled}
            chart.add_series({**series, "line": {"color": colour, "width": 2}, "marker": marker})
        _style(chart, data, legend=True)
        chart.set_y_axis(_axis(data))
        chart.set_x_axis({"num_font": _FONT, "line": {"color": LINE}})
        chart.set_size({"width": 860, "height": 420})
        return [(chart, 420)]

    def _bars(self, data: Chart, split: Split) -> tuple[Any, int]:
        chart = self.book.add_chart({"type": "bar"})
        for number, series in enumerate(self._series(data)):
            colour = BLUE if len(data.series) == 1 else KIND_COLOURS[number]
            chart.add_series({**series, "fill": {"color": colour}, "gap": 60})
        _style(chart, data, legend=len(data.series) > 1)
        chart.set_x_axis(_axis(data))
        chart.set_y_axis(
            {"reverse": True, "num_font": _FONT, "line": {"color": LINE}, "name": spoken(split.by[0])}
        )
        tall = 130 + 28 * len(data.categories) * min(len(data.series), 2)
        chart.set_size({"width": 860, "height": tall})
        return chart, tall


_FONT = {"name": "Arial", "size": 9, "color": INK}


def _axis(data: Chart) -> dict[str, Any]:
    highest, step = scale(data)
    return {
        "name": data.axis,
        "name_font": {**_FONT, "bold": False},
        "num_font": _FONT,
        "num_format": "0%",
        "min": 0,
        "max": highest,
        "major_unit": step,
        "line": {"none": True},
        "major_gridlines": {"visible": True, "line": {"color": LINE, "width": 0.5}},
    }


def _style(chart: Any, data: Chart, *, legend: bool) -> None:
    chart.set_title({"name": data.title, "name_font": {**_FONT, "size": 12}, "overlay": False})
    chart.set_legend({"position": "bottom", "font": _FONT} if legend else {"none": True})
    chart.set_chartarea({"border": {"color": LINE}})


def _reach(one: Series, ends: Sequence[float | None]) -> list[float | None]:
    """How far the ends of the intervals are from the rates."""
    return [
        None if end is None or rate is None else abs(end - rate)
        for end, rate in zip(ends, one.rate, strict=True)
    ]


def sheet_name(table: Table) -> str:
    """The name of a table's sheet, as spreadsheets allow it: at most 31 letters."""
    short = {
        "dsa": "DSA",
        "areas": "Improvement areas",
        "confusions": "Confusions",
        "unclear": "Unclear clauses",
        "headline": "Headline",
        "trend": "Trend",
    }
    return short.get(table.key) or table.title.removeprefix("By ").capitalize().replace(" and ", " x ")[:31]
