"""The style sheet of the app: chips, case texts, decision and precedent boxes. Colours follow the theme."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
.block-container { padding: 3.9rem 3rem 2rem; max-width: 1400px; }
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
.eh-key { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem 1.2rem; font-size: .82rem; margin: .2rem 0 .5rem; }
.eh-key span { display: flex; align-items: center; gap: .4rem; }
.eh-swatch { width: 1.5rem; height: 1rem; border-radius: 4px; flex: none; }
.eh-measured { background: color-mix(in srgb, #3b7dd8 calc(6% + var(--heat, 0) * 50%), transparent);
  border: 1px solid color-mix(in srgb, #3b7dd8 65%, transparent); }
.eh-modelled { border: 1px dashed color-mix(in srgb, currentColor 55%, transparent);
  background: repeating-linear-gradient(135deg, color-mix(in srgb, currentColor 9%, transparent) 0 2px, transparent 2px 8px); }
.eh-unknown { border: 1px dotted color-mix(in srgb, currentColor 70%, transparent); }
.eh-heat { overflow-x: auto; }
.eh-heat table { border-collapse: separate; border-spacing: 4px; width: 100%; font-variant-numeric: tabular-nums; }
.eh-heat caption { text-align: left; font-size: .85rem; opacity: .85; padding: 0 4px .3rem; }
.eh-heat th { font-size: .85rem; font-weight: 600; text-align: left; padding: .1rem .5rem; max-width: 10rem; }
.eh-heat td { border-radius: 6px; padding: .3rem .5rem; min-width: 5.6rem; line-height: 1.35; vertical-align: top; }
.eh-heat td b { font-size: 1.02rem; }
.eh-heat td span { display: block; font-size: .76rem; }
.eh-heat td.eh-none { text-align: center; vertical-align: middle; opacity: .6; }
.eh-attend { display: flex; gap: .7rem; padding: .55rem 0; border-top: 1px solid color-mix(in srgb, currentColor 16%, transparent); }
.eh-attend:first-child { border-top: none; padding-top: 0; }
.eh-mark { flex: none; width: 1.7rem; height: 1.7rem; border-radius: 50%; display: grid; place-items: center; font-weight: 700;
  font-size: .85rem; background: color-mix(in srgb, #c98a06 24%, transparent); }
.eh-what { font-weight: 650; line-height: 1.4; overflow-wrap: anywhere; }
.eh-why { font-size: .9rem; line-height: 1.45; overflow-wrap: anywhere; }
.eh-progress { display: grid; grid-template-columns: minmax(5rem, 9rem) 1fr minmax(16rem, auto); gap: .8rem; align-items: center;
  font-size: .88rem; margin: .22rem 0; font-variant-numeric: tabular-nums; }
.eh-bar { display: flex; height: .8rem; border-radius: 4px; overflow: hidden; border: 1px solid color-mix(in srgb, currentColor 35%, transparent); }
.eh-bar i { flex-basis: 0; }
.eh-bar .eh-ruled { background: #3b7dd8; }
.eh-bar .eh-skipped { background: repeating-linear-gradient(135deg, currentColor 0 2px, transparent 2px 5px); }
[data-testid="stAlertContainer"] code { display: inline-block; }  /* a command stays on one line where it fits */
/* Beside the sidebar of a small window there is no room for columns side by side. */
@media (max-width: 1199px) {
  .block-container { padding-left: 1.8rem; padding-right: 1.8rem; }
  [class*="st-key-stack"] [data-testid="stColumn"], .st-key-headline [data-testid="stColumn"]:first-child { min-width: 100%; }
  [class*="st-key-pairs"] [data-testid="stColumn"] { min-width: calc(50% - 1rem); flex-basis: calc(50% - 1rem) !important;
    flex-grow: 1 !important; }
}
</style>
"""


def apply() -> None:
    """Put the style sheet on the page."""
    st.html(_CSS)
