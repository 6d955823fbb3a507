"""The app's one style sheet: chips, the case's text, the decision and precedent boxes. Colours follow the theme."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
.block-container { padding-top: 3.9rem; padding-bottom: 2rem; max-width: 1400px; }
.eh-chips { display: flex; flex-wrap: wrap; gap: .35rem; margin: 0 0 .5rem 0; }
.eh-chip { border: 1px solid color-mix(in srgb, currentColor 22%, transparent); border-radius: 999px;
  padding: .08rem .6rem; font-size: .8rem; line-height: 1.45; white-space: nowrap; }
.eh-text { border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: 8px; padding: 1rem 1.1rem;
  font-size: 1.2rem; line-height: 1.65; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext;
  max-height: 17rem; overflow-y: auto; }
.eh-small .eh-text, .eh-text.eh-small { font-size: .92rem; line-height: 1.45; padding: .45rem .65rem; max-height: 6rem; }
.eh-blur { filter: blur(9px); user-select: none; }
.eh-text mark { background: color-mix(in srgb, #e8a317 38%, transparent); color: inherit; border-radius: 3px;
  border-bottom: 2px solid #c98a06; padding: 0 .1em; }
.eh-text mark.eh-against { background: none; border-bottom: 2px dotted color-mix(in srgb, currentColor 60%, transparent); }
.eh-text mark.eh-flip { outline: 2px solid color-mix(in srgb, currentColor 75%, transparent); outline-offset: 1px; border-bottom: none;
  -webkit-box-decoration-break: clone; box-decoration-break: clone; }
.eh-box { border-left: 4px solid color-mix(in srgb, currentColor 30%, transparent); padding: .1rem 0 .1rem .8rem;
  margin: 0 0 .8rem 0; }
.eh-box.eh-decided { border-color: #1f78c8; }
.eh-box.eh-reads { border-color: #c98a06; }
.eh-kicker { font-size: .74rem; letter-spacing: .05em; text-transform: uppercase; opacity: .72; }
.eh-label { font-size: 1.12rem; font-weight: 650; line-height: 1.4; }
.eh-clause { font-size: .9rem; line-height: 1.45; opacity: .88; }
.eh-say { font-size: 1rem; line-height: 1.5; margin: 0 0 .6rem 0; }
.eh-precedent { margin: 0 0 .65rem 0; }
.eh-precedent .eh-meta { font-size: .82rem; margin: 0 0 .2rem 0; }
.eh-figure { line-height: 1.2; margin-bottom: .4rem; }
.eh-figure .eh-number { font-size: 2rem; font-weight: 650; }
.eh-figure.eh-main .eh-number { font-size: 2.7rem; }
.eh-figure .eh-range { font-size: .9rem; opacity: .85; }
</style>
"""


def apply() -> None:
    """Put the style sheet on the page."""
    st.html(_CSS)
