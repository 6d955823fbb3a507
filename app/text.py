"""Turns case texts and other strings into safe HTML or Markdown.

Everything is escaped; spans are marked; direction and language are set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any


def marked(text: str, spans: Sequence[Mapping[str, Any]] = ()) -> str:
    """`text` escaped, with its spans in <mark>; spans are character offsets (start, end) and a weight.

    A weight above 0 supports an overturn; other marks are dotted; the words of a flip (`flip`) are outlined.
    Spans that overlap an earlier one, or are outside the text, are not marked: no character is lost or
    doubled.
    """
    parts, at = [], 0
    for span in sorted(spans, key=lambda span: int(span["start"])):
        start, end = int(span["start"]), int(span["end"])
        if start < at or end <= start or end > len(text):
            continue
        names = ["eh-against"] if float(span.get("weight", 1)) <= 0 else []
        names += ["eh-flip"] if span.get("flip") else []
        kind = f' class="{" ".join(names)}"' if names else ""
        parts += [escape(text[at:start]), f"<mark{kind}>", escape(text[start:end]), "</mark>"]
        at = end
    return "".join([*parts, escape(text[at:])])


def case_text(
    text: str, language: str, *, spans: Sequence[Mapping[str, Any]] = (), blurred: bool, small: bool = False
) -> str:
    """A box with the text in its own direction and language; blurred until the SME asks for it."""
    names = ["eh-text", *(["eh-blur"] if blurred else []), *(["eh-small"] if small else [])]
    hidden = ' aria-hidden="true"' if blurred else ""
    body = marked(text, () if blurred else spans) if text.strip() else "<em>(no text)</em>"
    key = "" if blurred else legend(spans)
    return f'<div class="{" ".join(names)}" dir="auto" lang="{escape(language, quote=True)}"{hidden}>{body}</div>{key}'


def legend(spans: Sequence[Mapping[str, Any]]) -> str:
    """What the kinds of marks on this text mean; empty if there are no marks."""
    weights = [float(span.get("weight", 1)) for span in spans]
    said = ["highlighted: speaks for an overturn"] if any(weight > 0 for weight in weights) else []
    said += ["dotted: speaks for the decision"] if any(weight < 0 for weight in weights) else []
    said += ["outlined: without it the text reads otherwise"] if any(s.get("flip") for s in spans) else []
    return f'<div class="eh-key">{escape(" · ".join(said))}</div>' if said else ""


def chips(*texts: str | None) -> str:
    """A row of small facts; empty ones are left out."""
    found = "".join(f'<span class="eh-chip" dir="auto">{escape(text)}</span>' for text in texts if text)
    return f'<div class="eh-chips">{found}</div>'


def box(kicker: str, title: str, clause: str, kind: str = "") -> str:
    """A label with its clause, under a small heading."""
    return (
        f'<div class="eh-box {kind}"><div class="eh-kicker">{escape(kicker)}</div>'
        f'<div class="eh-label">{escape(title)}</div><div class="eh-clause">{escape(clause)}</div></div>'
    )


def figure(kicker: str, number: str, below: str, *, main: bool = False) -> str:
    """A number with its name and its range."""
    size = "eh-figure eh-main" if main else "eh-figure"
    return (
        f'<div class="{size}"><div class="eh-kicker">{escape(kicker)}</div>'
        f'<div class="eh-number">{escape(number)}</div><div class="eh-range">{escape(below)}</div></div>'
    )


def as_typed(text: str) -> str:
    r"""`text` for a place that reads Markdown, shown as it was typed.

    A name in the data makes no link and loads no picture. A word joiner, which has no width, keeps an address
    from becoming a link.

    >>> as_typed("a_b [c](d)")
    'a\\_b \\[c\\](d)'
    """
    escaped = re.sub(r"([\\`*_\[\]<>~$:#|!&])", r"\\\1", text)
    return re.sub(r"(?i)(?<=//)|(?<=www)(?=\.)|(?<=@)", "\u2060", escaped)


def as_said(message: str) -> str:
    r"""The same for our own messages: a command in single backticks stays code, and is not escaped.

    >>> as_said("no user 'a_b'; add one with `evenhand user add a_b`")
    "no user 'a\\_b'; add one with `evenhand user add a_b`"
    """
    parts = re.split(r"((?<![`\\])`[^`\n]+`(?!`))", message)
    return "".join(part if place % 2 else as_typed(part) for place, part in enumerate(parts))


def bullets(sentences: Iterable[str]) -> str:
    """Sentences as a Markdown list, shown as they were typed."""
    return "\n".join(f"- {as_typed(one)}" for one in sentences)
