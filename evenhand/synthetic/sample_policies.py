"""The sample policy: community guidelines for short videos, in two versions."""

from __future__ import annotations

from pathlib import Path

from evenhand.errors import PolicyError
from evenhand.records.policy import PolicyVersion, read_policy

FOLDER = Path(__file__).with_name("policies")


def sample_policies() -> list[tuple[PolicyVersion, str]]:
    """The sample policy's versions with their YAML text, oldest first.

    PolicyError if the folder is missing.
    """
    files = sorted(FOLDER.glob("*.yaml"))
    if not files:
        raise PolicyError(
            f"{FOLDER}: the sample policy is missing; install Evenhand again, or `evenhand init --no-sample-policy`"
        )
    return sorted((read_policy(file) for file in files), key=lambda pair: pair[0].effective_from)
