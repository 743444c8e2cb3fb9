"""Faults: which error gives a claim back, which supersedes its decision, which ends it as failed.

The one table for all who adapt: flows, looks at waiting challengers, trials of policies.
"""

from dataclasses import dataclass
from enum import Enum

from driftune.errors import (
    BackboneError,
    DeviceFullError,
    DriftuneError,
    LakeDamageError,
    LedgerBusyError,
    OvertakenError,
    RegistryError,
    TrainerBusyError,
    TrainerStoppedError,
)


class End(Enum):
    """What becomes of a claim whose work failed.

    ``GIVE_BACK``: another run tries again (at most ``claims.ATTEMPTS`` times), and the error is
    raised. ``WAIT``: so too, and it counts as no try. ``SUPERSEDE`` and ``FAIL`` end the decision
    with the error as its note.
    """

    GIVE_BACK = "give back"
    WAIT = "wait"
    SUPERSEDE = "supersede"
    FAIL = "fail"


@dataclass(frozen=True)
class Fault:
    """An error and what it leads to: in an adaptation, and in a look at a waiting challenger."""

    error: type[Exception]
    adaptation: End
    look: End


# The first row that fits counts.
FAULTS = (
    # Data, backbone or champion are no longer those that the decision was made for.
    Fault(OvertakenError, adaptation=End.SUPERSEDE, look=End.SUPERSEDE),
    # The champion moved, files are damaged, or MLflow or the ledger was away.
    Fault(RegistryError, adaptation=End.GIVE_BACK, look=End.GIVE_BACK),
    Fault(LedgerBusyError, adaptation=End.GIVE_BACK, look=End.GIVE_BACK),
    # What is damaged or lost can be made whole: the same rows and weights come back.
    Fault(LakeDamageError, adaptation=End.GIVE_BACK, look=End.GIVE_BACK),
    Fault(BackboneError, adaptation=End.GIVE_BACK, look=End.GIVE_BACK),
    # Others had the device's memory meanwhile.
    Fault(DeviceFullError, adaptation=End.GIVE_BACK, look=End.GIVE_BACK),
    # Until a job that nobody here can end has ended, or its deadline has passed.
    Fault(TrainerBusyError, adaptation=End.WAIT, look=End.GIVE_BACK),
    # A training job of the user's own that was killed, for want of memory for example, or says
    # itself that another try may do.
    Fault(TrainerStoppedError, adaptation=End.GIVE_BACK, look=End.GIVE_BACK),
    # Wrong input stays wrong. A look's are a later day's rows, which can be delivered again: that
    # does not cost a trained challenger.
    Fault(DriftuneError, adaptation=End.FAIL, look=End.GIVE_BACK),
    # A crash, storage, network.
    Fault(Exception, adaptation=End.GIVE_BACK, look=End.GIVE_BACK),
)


def fault_of(error: Exception) -> Fault:
    """The table's row for an error."""
    return next(fault for fault in FAULTS if isinstance(error, fault.error))
