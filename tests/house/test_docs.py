"""Tests the docs: generated pages match the code, links work, and the site builds without network."""

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *(path for path in DOCS.rglob("*.md")),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "data_cards").glob("*.md"),
        *(ROOT / "tests").rglob("*.md"),
    ]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture
def made(monkeypatch):
    """A module of docs/make."""
    monkeypatch.syspath_prepend(str(DOCS / "make"))
    return importlib.import_module


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as MkDocs and code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def dead_links(page: Path) -> list[str]:
    """The relative links of a page that lead to no file, or to no heading of it."""
    dead = []
    for link in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    assert not dead_links(page)


def test_a_dead_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n\n[a](page.md#one-thing) [b](#two) [c](gone.md) `[d](gone.md)` [e](https://example.org)\n"
    )
    assert dead_links(page) == ["#two", "gone.md"]


def test_the_reference_of_commands_is_as_the_commands_are(made):
    commands = made("commands")
    assert commands.PAGE.read_text(encoding="utf-8") == commands.page(), "run `make docs`"


def test_rooms_are_drawn_as_the_boundary_test_checks_them(made):
    rooms = made("rooms")
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.picture(), "run `make docs`"
    assert rooms.PAGE.read_text(encoding="utf-8") == rooms.page(), "run `make docs`"


def test_arrows_that_follow_from_two_others_are_not_drawn(made):
    given = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert made("rooms").reduced(given) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_the_functions_that_the_architecture_names_are_there():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+/[\w/]+\.py)` `([\w.]+)`", text)
    assert len(named) >= 12
    for file, name in named:
        here = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
        for part in name.split("."):
            found = [
                node
                for node in here
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == part
            ]
            assert found, f"docs/architecture.md names {name} in {file}"
            here = found[0].body


@pytest.mark.parametrize("page", sorted((DOCS / "recipes").glob("*.md")), ids=lambda page: page.stem)
def test_the_files_that_a_recipe_names_are_there(page):
    """Files that the reader makes are left out; their names begin with `my_`."""
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`", page.read_text(encoding="utf-8"))
    assert named
    for name in named:
        assert "my_" in name or (ROOT / name).exists(), name


def test_examples_become_blocks_of_code(made):
    pytest.importorskip("griffe", reason="mkdocs is not installed (pip group `docs`)")
    given = "What it does.\n\n>>> add(1, 2)\n3\n\nMore."
    assert made("doctests").fenced(given) == "What it does.\n\n\n```pycon\n>>> add(1, 2)\n3\n```\n\nMore."


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed (pip group `docs`)")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert str(ROOT) not in text, page
        assert not re.search(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?(?:https?:)?//", text), page
        assert not re.search(r"<link[^>]*\shref=\"?(?:https?:)?//", text), page
        assert 'class="mermaid"' not in text, page  # its script would come from another server
    for style in (tmp_path / "site").rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert "@import" not in text and not re.search(r"url\([\"']?(?:https?:)?//", text), style
