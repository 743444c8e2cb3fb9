"""Errors that a user can act on. Each message is one line: what, where, which value, what to do."""

from driftune.redact import redact
from driftune.visible import visible


class DriftuneError(Exception):
    """Base of every error that the command line prints without a traceback.

    Passwords and tokens in its message are left out, and control characters of a name in it are
    escapes, wherever it ends up.
    """

    def __init__(self, *parts: object) -> None:
        shown = (visible(redact(part)) if isinstance(part, str) else part for part in parts)
        super().__init__(*shown)


class ConfigError(DriftuneError):
    """A wrong key or value in params.yaml or in the environment."""


class SourceError(DriftuneError):
    """The day's files are missing, unreadable or lack a column that a role names."""


class SourceUnavailableError(SourceError):
    """Storage or network did not answer; trying again may help."""


class DayRefusedError(DriftuneError):
    """The day's data broke a critical rule; lake, ledger and registry are as before."""


class LakeError(DriftuneError):
    """The lake lacks days that a step needs, or its table cannot be read."""


class LakeDamageError(LakeError):
    """A day, a data file, or the list of erased users is missing, or another than was written."""


class BackboneError(DriftuneError):
    """The pre-trained backbone is missing, damaged or does not fit the encoder."""


class ModelOutputError(DriftuneError):
    """What a model gives for rows of a domain is NaN or infinite."""


class DeviceFullError(DriftuneError):
    """A device's memory does not suffice for few rows at once; trying again may help."""


class LedgerError(DriftuneError):
    """The ledger cannot be reached, or a record is not in the state that a step needs."""


class LedgerBusyError(LedgerError):
    """The ledger is locked by another process or does not answer; trying again may help."""


class RegistryError(DriftuneError):
    """An adapter version is missing or damaged, or a pointer moved meanwhile."""


class TrainerError(DriftuneError):
    """A training job of the user's own failed, or left no adapter that can be judged."""


class TrainerStoppedError(TrainerError):
    """A training job of the user's own was killed or asks to be run again."""


class TrainerBusyError(TrainerStoppedError):
    """The training job of an attempt before may still be at work; nothing was begun."""


class BundleError(DriftuneError):
    """A bundle of a served model is missing, damaged, or of another format."""


class RowsError(DriftuneError):
    """Rows to be scored lack a column, or hold values whose text in the lake nobody can tell."""


BACKBONE_CHANGED = "the backbone was pre-trained anew after the decision"


class OvertakenError(DriftuneError):
    """What a challenger was judged on is no longer what the lake holds, or what serves."""


def note_of(error: BaseException) -> str:
    """What is kept of an error, in one line: a user's line, or the name of what crashed too."""
    text = str(error) if isinstance(error, DriftuneError) else redact(repr(error))
    return " ".join(text.split())
