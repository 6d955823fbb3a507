"""The colours of a report. Colour-blind people can tell them apart, and no fact is shown by colour alone."""

from __future__ import annotations

INK = "#1b2a41"
GREY = "#5f6b7a"
LINE = "#d5dae1"
PALE = "#eef2f7"
BLUE = "#2f6db5"
ORANGE = "#c8700a"
TEAL = "#1f8a7d"
PLUM = "#7d4a8d"
KIND_COLOURS = (ORANGE, BLUE, GREY)  # over-enforcement, under-enforcement, wrong label
VERSION_COLOURS = (BLUE, ORANGE, TEAL, PLUM)
