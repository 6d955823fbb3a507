"""Hooks of the site: what it takes from outside `docs/`, and the pages that are made while it is built.

MkDocs calls these functions (`mkdocs.yml`).

- Files of the repository that pages link to (data cards, figures of benchmarks, the changelog) become
  files of the site.
- The reference of the domain gets a page a room, so that no list of modules can be forgotten.
- In the navigation, "FOLDER/*" stands for every page of that folder, by name.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "data_cards/*.md", "benchmarks/results/*.json")
API = "reference/api"
_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")


def _outside() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for wanted in OUTSIDE for path in ROOT.glob(wanted))


def _rooms() -> dict[str, str]:
    """The page of each room of the domain: what it is for, then its modules."""
    pages = {}
    for place in sorted((ROOT / "evenhand").iterdir()):
        inside = sorted(path.stem for path in place.glob("*.py") if not path.stem.startswith("__"))
        head = f"# evenhand.{place.stem}\n\n"
        if inside:
            said = ast.get_docstring(ast.parse((place / "__init__.py").read_text(encoding="utf-8"))) or ""
            blocks = [f"::: evenhand.{place.name}.{module}" for module in inside]
            pages[f"{API}/{place.name}.md"] = head + "\n\n".join([said, *blocks]) + "\n"
        elif place.suffix == ".py" and place.stem != "__init__":
            pages[f"{API}/{place.stem}.md"] = f"{head}::: evenhand.{place.stem}\n"
    return pages


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages in the place of each "FOLDER/*" of the navigation."""
    docs = Path(config.docs_dir)
    there = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md")] + list(_rooms()) + _outside()

    def opened(entry: Any) -> list[Any]:
        if isinstance(entry, dict):
            return [
                {
                    name: [one for inner in value for one in opened(inner)]
                    if isinstance(value, list)
                    else value
                }
                for name, value in entry.items()
            ]
        if entry.endswith("/*"):
            return sorted(name for name in there if posixpath.dirname(name) == entry.removesuffix("/*"))
        return [entry]

    config.nav = [one for entry in config.nav or [] for one in opened(entry)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files from outside, and the pages of the reference."""
    for name in _outside():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for name, text in _rooms().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that are right in the repository into links that are right in the site."""
    here = page.file.src_uri
    inside = (Path(config.docs_dir) / here).exists()
    folder = posixpath.dirname(f"docs/{here}" if inside else here)

    def right(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[1]))
        return posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(here) or ".")

    return _LINK.sub(right, markdown)
