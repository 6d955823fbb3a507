"""The building blocks of the deck: slides, texts that fit, native charts, and long tables.

Charts have intervals; a long table continues on further slides.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import Any

from lxml import etree
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION, XL_TICK_LABEL_POSITION
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.oxml.ns import qn
from pptx.util import Inches, Pt

from evenhand.report.charts import Chart, Series, scale
from evenhand.report.palette import GREY, INK, LINE, PALE

WIDTH, HEIGHT = 13.333, 7.5  # inches, like all lengths here
MARGIN, TOP, BOTTOM = 0.6, 1.35, 6.85
FULL = WIDTH - 2 * MARGIN
_LEADING = 1.25  # line height, in font sizes
_TITLE_SIZES, _TEXT_SIZES = (28, 24, 20), (18, 16, 15, 14, 13, 12)
_OVER_SEVERAL = 14  # points, for texts that continue on several slides
_CELL = 11  # points, in a table
_SMALL = 9  # points, for sources and caveats
_PAD = 0.09
_CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"


class Deck:
    """A presentation that is being built, slide by slide."""

    def __init__(self, footer: str) -> None:
        self.pages = Presentation()
        self.pages.slide_width, self.pages.slide_height = Inches(WIDTH), Inches(HEIGHT)
        theme = self.pages.slide_master.part.part_related_by(RELATIONSHIP_TYPE.THEME)
        theme._blob = theme.blob.replace(b'"Calibri"', b'"Arial"')
        self.footer = footer

    def slide(self, title: str, notes: str) -> Any:
        """A new slide with its title, footer and speaker notes."""
        slide = self.pages.slides.add_slide(self.pages.slide_layouts[5])
        shape = slide.shapes.title
        shape.left, shape.top, shape.width, shape.height = (Inches(x) for x in (MARGIN, 0.4, FULL, 0.85))
        size = next((s for s in _TITLE_SIZES if needed([title], FULL, s) <= 0.85), _TITLE_SIZES[-1])
        fill(shape.text_frame, [clipped(title, FULL, 0.85, size)], size, bold=True)
        shape.text_frame.vertical_anchor = MSO_ANCHOR.MIDDLE
        if (number := len(self.pages.slides)) > 1:
            corner = (WIDTH - MARGIN - 0.8, 7.02, 0.8, 0.3)
            self.text(slide, MARGIN, 7.02, FULL - 0.8, 0.3, [self.footer], size=10, colour=GREY)
            self.text(slide, *corner, [str(number)], size=10, colour=GREY, align="right")
        slide.notes_slide.notes_text_frame.text = notes
        return slide

    def text(
        self,
        slide: Any,
        left: float,
        top: float,
        width: float,
        height: float,
        texts: Sequence[str],
        *,
        size: float,
        colour: str = INK,
        bold: bool = False,
        align: str = "left",
    ) -> None:
        """A box of paragraphs."""
        box = slide.shapes.add_textbox(*(Inches(x) for x in (left, top, width, height)))
        fill(box.text_frame, texts, size, colour=colour, bold=bold, align=align)

    def texts(self, title: str, texts: Sequence[str], notes: str, *, smallest: int = 12) -> None:
        """Paragraphs in the largest type that fits one slide; several slides if `smallest` does not fit."""
        room = BOTTOM - TOP
        sizes = [size for size in _TEXT_SIZES if size >= smallest]
        size = next((s for s in sizes if needed(texts, FULL, s, gap=0.5) <= room), _OVER_SEVERAL)
        for number, page in enumerate(paged(texts, FULL, room, size)):
            slide = self.slide(title if number == 0 else f"{title} (continued)", notes)
            self.text(slide, MARGIN, TOP, FULL, room, page, size=size)

    def chart(
        self,
        slide: Any,
        left: float,
        width: float,
        data: Chart,
        colours: Sequence[str],
        *,
        line: bool,
        whole: Chart | None = None,
    ) -> None:
        """A native chart under the title; lines over time, or bars with the first category on top.

        `whole`: the chart that `data` is a part of, so that all parts have one scale.
        """
        kind = XL_CHART_TYPE.LINE_MARKERS if line else XL_CHART_TYPE.BAR_CLUSTERED
        cells = CategoryChartData(number_format="0.0%")
        cells.categories = list(data.categories)
        for one in data.series:
            cells.add_series(one.name, one.rate)
        height = (
            BOTTOM - TOP if line else min(BOTTOM - TOP, 1.2 + 0.65 * len(data.categories) * len(data.series))
        )
        place = (Inches(x) for x in (left, TOP, width, height))
        frame = slide.shapes.add_chart(kind, *place, cells)
        frame.name = data.title
        frame._element.nvGraphicFramePr.cNvPr.set("descr", f"{data.title}: {'; '.join(data.categories)}")
        chart = frame.chart
        chart.has_title = False
        chart.font.size, chart.font.name, chart.font.color.rgb = (
            Pt(12),
            "Arial",
            RGBColor.from_string(INK[1:]),
        )
        chart.has_legend = len(data.series) > 1
        if chart.has_legend:
            chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
        self._axes(chart, scale(whole or data), line=line)
        for number, (one, series) in enumerate(zip(chart.plots[0].series, data.series, strict=True)):
            colour = RGBColor.from_string(colours[number % len(colours)][1:])
            if line:
                one.smooth = False
                one.format.line.color.rgb, one.format.line.width = colour, Pt(2.25)
                one.marker.format.fill.solid()
                one.marker.format.fill.fore_color.rgb = colour
                one.marker.format.line.color.rgb = colour
                one.marker.size = 8
            else:
                one.format.fill.solid()
                one.format.fill.fore_color.rgb = colour
            _add_error_bars(one._element, series)
        if not line:
            chart.plots[0].gap_width, chart.plots[0].overlap = 55, 0

    def _axes(self, chart: Any, ends: tuple[float, float], *, line: bool) -> None:
        value, category = chart.value_axis, chart.category_axis
        value.minimum_scale = 0
        value.maximum_scale, value.major_unit = ends
        value.tick_labels.number_format, value.tick_labels.number_format_is_linked = "0%", False
        value.major_gridlines.format.line.color.rgb = RGBColor.from_string(LINE[1:])
        value.format.line.fill.background()
        category.format.line.color.rgb = RGBColor.from_string(LINE[1:])
        category.has_major_gridlines = False
        if not line:
            category.reverse_order = True
            # at the bottom, for the order is reversed
            value.tick_label_position = XL_TICK_LABEL_POSITION.HIGH

    def table(
        self,
        title: str,
        heads: Sequence[str],
        widths: Sequence[float],
        rows: Sequence[Sequence[str]],
        *,
        notes: str,
        caption: str,
        small: Sequence[str] = (),
    ) -> None:
        """A table, on as many slides as needed.

        `widths` are shares of the slide; `small` is the text at the foot of each slide.
        """
        inches = [FULL * width / sum(widths) for width in widths]
        under = needed([caption], FULL, 13) + 0.15
        foot = needed(small, FULL, _SMALL, gap=0.5)
        head = _row_height(heads, inches)
        room = BOTTOM - TOP - under - head - (foot + 0.1 if small else 0)
        pages: list[list[Sequence[str]]] = [[]]
        used = 0.0
        for row in rows:
            cut = [
                clipped(cell, wide - 2 * _PAD, room - 0.1, _CELL)
                for cell, wide in zip(row, inches, strict=True)
            ]
            tall = _row_height(cut, inches)
            if pages[-1] and used + tall > room:
                pages.append([])
                used = 0.0
            pages[-1].append(cut)
            used += tall
        for number, page in enumerate(pages):
            slide = self.slide(title if number == 0 else f"{title} (continued)", notes)
            self.text(slide, MARGIN, TOP, FULL, under, [caption], size=13, colour=GREY)
            _add_table(slide, TOP + under, heads, inches, page)
            if small:
                self.text(slide, MARGIN, BOTTOM - foot, FULL, foot, small, size=_SMALL, colour=GREY)


def fill(
    frame: Any,
    texts: Sequence[str],
    size: float,
    *,
    colour: str = INK,
    bold: bool = False,
    align: str = "left",
) -> None:
    """Put paragraphs into a text frame, without the frame's own margins."""
    frame.clear()
    frame.word_wrap = True
    frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
    for number, text in enumerate(texts):
        paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
        paragraph.alignment = PP_ALIGN.RIGHT if align == "right" else PP_ALIGN.LEFT
        paragraph.space_after = Pt(0.5 * size if number < len(texts) - 1 else 0)
        run = paragraph.add_run()
        run.text = text
        run.font.size, run.font.bold, run.font.color.rgb = Pt(size), bold, RGBColor.from_string(colour[1:])


def lines(text: str, width: float, size: float) -> int:
    """About how many lines `text` needs in a box; rather too many than too few.

    The box is `width` inches wide, the type has `size` points.
    """
    per_line = width * 72 / size
    taken = sum(1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.49 for sign in text)
    return max(1, math.ceil(taken / per_line))


def needed(texts: Sequence[str], width: float, size: float, *, gap: float = 0.0) -> float:
    """The height in inches that paragraphs need, with `gap` lines between them."""
    return sum(lines(text, width, size) * _LEADING + gap for text in texts) * size / 72


def clipped(text: str, width: float, height: float, size: float) -> str:
    """`text`, cut with an ellipsis if it does not fit its box."""
    while text and needed([text], width, size) > height:
        text = text[: max(int(len(text) * 0.9) - 1, 0)].rstrip() + "…" if len(text) > 2 else ""
    return text


def paged(texts: Sequence[str], width: float, height: float, size: float) -> list[list[str]]:
    """Paragraphs by slide. One that is longer than a slide is cut between words; no word is lost."""
    pages: list[list[str]] = [[]]
    waiting = list(texts)
    while waiting:
        text = waiting.pop(0)
        if needed([*pages[-1], text], width, size, gap=0.5) <= height:
            pages[-1].append(text)
        elif pages[-1]:
            pages.append([])
            waiting.insert(0, text)
        else:
            words = text.split(" ")
            half = max(len(words) // 2, 1)
            parts = [" ".join(words[:half]), " ".join(words[half:])]
            if len(words) == 1:
                parts = [text[: len(text) // 2], text[len(text) // 2 :]]
            waiting[:0] = parts
    return pages


def _row_height(cells: Sequence[str], widths: Sequence[float]) -> float:
    most = max(lines(cell, width - 2 * _PAD, _CELL) for cell, width in zip(cells, widths, strict=True))
    return most * _CELL * _LEADING / 72 + 0.1


def _add_table(
    slide: Any, top: float, heads: Sequence[str], widths: Sequence[float], rows: Sequence[Sequence[str]]
) -> None:
    place = (Inches(x) for x in (MARGIN, top, FULL, 0.3 * (len(rows) + 1)))
    table = slide.shapes.add_table(len(rows) + 1, len(heads), *place).table
    style = table._tbl.tblPr.find(qn("a:tableStyleId"))
    style.text = "{2D5ABB26-0587-4C30-8999-92F81FD0307C}"  # no style, no grid
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Inches(width)
    for number, cells in enumerate((heads, *rows)):
        table.rows[number].height = Inches(_row_height(cells, widths))
        for place_in_row, text in enumerate(cells):
            cell = table.cell(number, place_in_row)
            fill(cell.text_frame, [text], _CELL, bold=number == 0)
            cell.margin_left = cell.margin_right = Inches(_PAD)
            cell.margin_top = cell.margin_bottom = Inches(0.04)
            cell.vertical_anchor = MSO_ANCHOR.MIDDLE if number == 0 else MSO_ANCHOR.TOP
            cell.fill.solid()
            shade = PALE if number == 0 else "#ffffff" if number % 2 else "#f8f9fb"
            cell.fill.fore_color.rgb = RGBColor.from_string(shade[1:])


def _add_error_bars(series: Any, data: Series) -> None:
    """Add intervals to a native series.

    The library has no error bars, so they are written in the form of the file's schema (c:errBars).
    """
    bars = etree.SubElement(series, f"{{{_CHART}}}errBars")
    for name, value in (("errBarType", "both"), ("errValType", "cust"), ("noEndCap", "0")):
        etree.SubElement(bars, f"{{{_CHART}}}{name}", val=value)
    for name, ends in (("plus", data.high), ("minus", data.low)):
        cells = etree.SubElement(etree.SubElement(bars, f"{{{_CHART}}}{name}"), f"{{{_CHART}}}numLit")
        etree.SubElement(cells, f"{{{_CHART}}}formatCode").text = "0.0%"
        etree.SubElement(cells, f"{{{_CHART}}}ptCount", val=str(len(ends)))
        for number, (end, rate) in enumerate(zip(ends, data.rate, strict=True)):
            if end is not None and rate is not None:
                point = etree.SubElement(cells, f"{{{_CHART}}}pt", idx=str(number))
                etree.SubElement(point, f"{{{_CHART}}}v").text = repr(abs(end - rate))
    look = etree.SubElement(bars, f"{{{_CHART}}}spPr")
    drawn = etree.SubElement(look, qn("a:ln"), w="15875")
    etree.SubElement(etree.SubElement(drawn, qn("a:solidFill")), qn("a:srgbClr"), val=INK[1:])
    series.find(f"{{{_CHART}}}cat").addprevious(bars)
