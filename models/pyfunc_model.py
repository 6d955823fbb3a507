"""The model as MLflow's pyfunc: a file that MLflow runs in a process of its own ("models from code")."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.models import set_model


class EvenhandModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Takes decisions as rows, gives p_overturn and predicted_label."""

    def load_context(self, context: Any) -> None:
        """Load the bundle with the code that was logged beside it, whatever else is called `models` there."""
        code = Path(context.artifacts["bundle"]).parents[1] / "code"
        if code.is_dir():
            _prefer(code)
        from evenhand.workspace.telemetry import quiet

        quiet()
        from models.bundle import ModelBundle

        self.bundle = ModelBundle.load(Path(context.artifacts["bundle"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """`model_input` has text, area, policy_version, label, moderator_id; one row out for each row in.

        `language` counts where it is given. With `decision_id`, a decision that the model learned from is
        judged by the fold that left it out.
        """
        import polars as pl

        columns = ("text", "area", "policy_version", "label", "moderator_id")
        data = {name: [str(value) for value in model_input[name]] for name in columns}
        data["language"] = [str(value) for value in model_input.get("language", ["und"] * len(model_input))]
        ids = model_input["decision_id"] if "decision_id" in model_input else range(len(model_input))
        decisions = pl.DataFrame({"decision_id": [str(name) for name in ids], **data})
        judged = self.bundle.judge(decisions)
        return pd.DataFrame(
            {
                "p_overturn": judged["p_overturn"].to_list(),
                "predicted_label": judged["predicted_label"].to_list(),
                "support": judged["support"].to_list(),
            }
        )


def _prefer(code: Path) -> None:
    """Put the logged code first and drop a foreign package called `models`."""
    sys.path.insert(0, str(code))
    for name in ("evenhand", "models"):
        loaded = sys.modules.get(name)
        if loaded is not None and str(code) not in str(getattr(loaded, "__file__", "")):
            for known in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
                del sys.modules[known]


set_model(EvenhandModel())
