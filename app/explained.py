"""Makes the explanation card of a flag when the flag is opened; the model is loaded once and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import streamlit as st

from app import session

if TYPE_CHECKING:
    from models.bundle import ModelBundle


def card(model: str, case: dict[str, Any]) -> dict[str, Any]:
    """The card (`models.explain.explanation.explain`) of a flag by `model`.

    `case` is a row of the published flags. Raises EvenhandError if that model cannot be loaded.
    """
    root = str(session.workspace().root)
    return _card(root, model, case["decision_id"], case)


@st.cache_resource(max_entries=1, show_spinner="Loading the model; the next case will not wait for it")
def _bundle(root: str, model: str) -> ModelBundle:
    # imports torch: the page should not wait for it before a flag is opened
    from models.registry import Registry

    return Registry(session.workspace()).load(model)


@st.cache_data(max_entries=512, show_spinner="Reading the case")
def _card(root: str, model: str, decision_id: str, _case: dict[str, Any]) -> dict[str, Any]:
    from models.explain.explanation import explain

    return explain(_bundle(root, model), pl.DataFrame([_case], infer_schema_length=None))[0]
