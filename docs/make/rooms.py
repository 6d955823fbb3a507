"""Draws `docs/rooms.svg` and the table of rooms in `docs/architecture.md` from the import arrows.

The arrows are those that `tests/house/test_boundaries.py` checks.

python docs/make/rooms.py
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "rooms.svg"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: written by docs/make/rooms.py -->\n", "<!-- rooms end -->\n"
BOX_WIDTH, BOX_HEIGHT, COLUMN, ROW, EDGE = 126, 34, 168, 74, 24

EVERYBODYS = "evenhand/errors"  # nearly all import it; its arrows would hide the others

Arrows = dict[str, set[str]]


def arrows() -> Arrows:
    """MAY_IMPORT of the boundary test: room -> rooms it may import, all by their full names."""
    source = (ROOT / "tests" / "house" / "test_boundaries.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MAY_IMPORT":
            found: Arrows = ast.literal_eval(node.value)
            return {
                room: {f"evenhand/{name}" if "/" in room else name for name in names}
                for room, names in found.items()
            }
    raise LookupError(
        "tests/house/test_boundaries.py: MAY_IMPORT is not there; tell docs/make/rooms.py where the arrows are"
    )


def reduced(given: Arrows) -> Arrows:
    """The arrows without those that follow from two others."""

    def below(room: str) -> set[str]:
        return given[room].union(*(below(inner) for inner in given[room])) if given.get(room) else set()

    return {
        room: {inner for inner in names if not any(inner in below(other) for other in names - {inner})}
        for room, names in given.items()
    }


def floors(given: Arrows) -> dict[str, int]:
    """How high each room stands: one above the highest that it imports."""
    found: dict[str, int] = {}

    def height(room: str) -> int:
        if room not in found:
            found[room] = 1 + max((height(inner) for inner in given[room]), default=-1)
        return found[room]

    for room in given:
        height(room)
    return found


def places(
    given: Arrows, height: Mapping[str, int]
) -> tuple[dict[str, tuple[float, int]], list[tuple[str, ...]]]:
    """Where each room stands (column, floor), and each arrow as the points that it passes.

    A room stands near the rooms that it imports. An arrow over several floors passes each of them at a point
    of its own, "room@floor", never behind a box; arrows to the same room share these points.
    """
    steps: Arrows = {room: set() for room in given}
    ways = []
    for room, names in sorted(given.items()):
        for inner in sorted(names):
            way = [room, *(f"{inner}@{floor}" for floor in range(height[room] - 1, height[inner], -1)), inner]
            ways.append(tuple(way))
            for one, next_one in pairwise(way):
                steps.setdefault(one, set()).add(next_one)
    level = {name: height[name] if name in height else int(name.split("@")[1]) for name in steps}
    found: dict[str, tuple[float, int]] = {}

    def wish(name: str) -> float:
        return sum(found[inner][0] for inner in steps[name]) / len(steps[name]) if steps[name] else 0

    for floor in sorted(set(level.values())):
        here = sorted((name for name in steps if level[name] == floor), key=lambda name: (wish(name), name))
        sizes = [0.3 if "@" in name else 1.0 for name in here]
        middle = sum(map(wish, here)) / len(here)
        left = middle - sum(sizes) / 2
        for name, size in zip(here, sizes, strict=True):
            found[name] = (left + size / 2, floor)
            left += size
    return found, ways


def picture() -> str:
    """The rooms as SVG: packages above, the domain in a frame below; arrows point at what a room imports."""
    every = arrows()
    domain = reduced(
        {room: names - {EVERYBODYS} for room, names in every.items() if "/" in room and room != EVERYBODYS}
    )
    packages = reduced({room: names - {"evenhand"} for room, names in every.items() if "/" not in room})
    inner, ways = places(domain, floors(domain))
    outer, more = places(packages, floors(packages))
    top = 1.6 + max(floor for _, floor in inner.values())
    middle = sum(column for column, _ in inner.values()) / len(inner)
    shift = middle - sum(column for column, _ in outer.values()) / len(outer)
    at: dict[str, tuple[float, float]] = {
        **inner,
        **{name: (column + shift, floor + top) for name, (column, floor) in outer.items()},
    }
    left, right = min(c for c, _ in at.values()) - 0.5, max(c for c, _ in at.values()) + 0.5
    highest = max(floor for _, floor in at.values())
    width, height = 2 * EDGE + COLUMN * (right - left), 2 * EDGE + ROW * highest + BOX_HEIGHT
    frame = EDGE + ROW * (highest - top + 1) - 14
    point = {
        name: (EDGE + COLUMN * (column - left), EDGE + ROW * (highest - floor) + BOX_HEIGHT / 2)
        for name, (column, floor) in at.items()
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
        ' font-family="sans-serif" font-size="14" role="img" aria-label="The rooms and what each may import">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#5b6b7f"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<rect x="8" y="{frame:.0f}" width="{width - 16:.0f}" height="{height - frame - 8:.0f}" rx="8" fill="#f3f5f8" stroke="#d5dbe4"/>',
        f'<text x="22" y="{frame + 24:.0f}" fill="#5b6b7f">evenhand, the domain</text>',
    ]
    parts += [_line([point[name] for name in way]) for way in (*ways, *more)]
    for room, names in packages.items():
        if not names:  # it rests on the domain as a whole
            x, y = point[room]
            parts.append(_line([(x, y), (x, frame + BOX_HEIGHT / 2)]))
    parts += [
        _box(room.removeprefix("evenhand/"), *point[room], "#ffffff" if room in domain else "#e3edf9")
        for room in sorted({*domain, *packages})
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(points: Sequence[tuple[float, float]]) -> str:
    """An arrow from the lower edge of a box to the upper edge of another, through the points between."""
    (x, y), *rest = points
    y += BOX_HEIGHT / 2
    path = f"M{x:.0f} {y:.0f}"
    for i, (to_x, to_y) in enumerate(rest, start=1):
        if i == len(rest):
            to_y -= BOX_HEIGHT / 2 + 2
        bend = (to_y - y) / 2
        path += f"C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}"
        x, y = to_x, to_y
    return f'<path d="{path}" fill="none" stroke="#5b6b7f" marker-end="url(#tip)"/>'


def _box(name: str, x: float, y: float, fill: str) -> str:
    return (
        f'<rect x="{x - BOX_WIDTH / 2:.0f}" y="{y - BOX_HEIGHT / 2:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5"'
        f' fill="{fill}" stroke="#1f5fae"/><text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" fill="#1c2430">{escape(name)}</text>'
    )


def purpose(room: str) -> str:
    """What a room says of itself: the first paragraph of its docstring."""
    path = ROOT / room / "__init__.py" if (ROOT / room).is_dir() else ROOT / f"{room}.py"
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split()).rstrip(".") + "."


def table() -> str:
    """The rooms, outermost first, each with its sentence and what it may import."""
    every = arrows()
    height = floors({**every, "evenhand": {room for room in every if "/" in room}})
    rows = ["| room | what it is for | may import |", "|---|---|---|"]
    for room in sorted(every, key=lambda room: (-height[room], room)):
        names = ", ".join(sorted(name.removeprefix("evenhand/") for name in every[room])) or "nothing of ours"
        rows.append(f"| `{room}` | {purpose(room)} | {names} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """`docs/architecture.md` with the present table in its place."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
