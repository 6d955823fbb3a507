"""Stops the dependencies from sending data, and from asking a model hub unless the user allows it."""

from __future__ import annotations

import os

#: The dependencies read these at import, so `quiet` runs before any of them is imported.
SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "TOKENIZERS_PARALLELISM": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def quiet(*, allow_download: bool = False) -> None:
    """Switch off the telemetry of every dependency, and the model hub unless `allow_download`."""
    os.environ.update(SWITCHES)
    offline = "0" if allow_download else "1"
    os.environ["HF_HUB_OFFLINE"] = offline
    os.environ["HF_DATASETS_OFFLINE"] = offline
