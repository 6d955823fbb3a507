"""Errors that say what is wrong, where, and what to do. The command line maps them to exit codes."""


class EvenhandError(Exception):
    """Base of every error that Evenhand raises on purpose.

    The message is complete: what, where, and what to do about it.
    """

    exit_code = 2


class UserError(EvenhandError):
    """The user can fix it (exit code 2)."""


class OutsideError(EvenhandError):
    """The outside world failed: disk, database, network, a damaged file (exit code 3)."""

    exit_code = 3


class RecordError(UserError):
    """A decision, ruling or other record breaks its own rules."""


class PolicyError(UserError):
    """A policy file is wrong, or a label, area or version is not in it."""


class ConfigError(UserError):
    """`evenhand.toml` cannot be read or holds an unknown or wrong setting."""


class WorkspaceError(UserError):
    """The workspace is missing, half made, or of another schema version."""


class IngestError(UserError):
    """A file as a whole cannot be ingested."""


class SampleError(UserError):
    """A draw that cannot be made as asked."""


class EstimateError(UserError):
    """An error rate that cannot be given honestly from what there is."""


class ModelError(UserError):
    """A model, encoder or registry entry is missing or unfit."""


class PolicyMismatch(ModelError):
    """A model was asked to judge a policy version that it does not cover."""


class TrainingError(UserError):
    """The rulings at hand cannot train a model."""
