"""What list, ledger and lake say of erasures, and how they differ: one line, with the way back."""

from dataclasses import dataclass

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.lake.applied import applied
from driftune.lake.store import store_of
from driftune.lake.suppressed import Suppressed, read_suppressed
from driftune.registry.erasures import Standing, standing
from driftune.registry.ledger import Ledger


@dataclass(frozen=True)
class Places:
    """What the list on disk, the ledger and the lake (None: no day yet) say of erasures."""

    listed: Suppressed
    said: Standing
    lake: int | None

    @property
    def open(self) -> set[int]:
        """The numbers of erasures that did not end."""
        return self.listed.open & self.said.open


def look(config: Config, ledger: Ledger) -> Places:
    """Read all three; the caller has the list's lock.

    Raises:
        LakeError: when the list or the lake's log cannot be read.
    """
    return Places(read_suppressed(config), standing(ledger), applied(store_of(config)))


def lists_differ(config: Config, places: Places) -> str | None:
    """How list and ledger differ."""
    path, listed, said = Workspace(config).suppressed, places.listed, places.said
    has, wanted = len(listed.erasures), said.number
    if listed.state == said.state:
        return None
    if has and wanted and listed.salt != said.salt:
        return (
            f"{path}: is the list of erased users of another ledger; move it away, then say "
            "driftune erase --again, which writes the ledger's; or set registry.ledger to the "
            "list's own"
        )
    if not has:
        return (
            f"{path}: the list of erased users is missing, the ledger has {_counted(wanted)}; "
            "say driftune erase --again, which writes it anew"
        )
    if has < wanted:
        return (
            f"{path}: the list of erased users is an older one, with {_counted(has)}, the ledger "
            f"has {wanted}; say driftune erase --again, which repairs it and applies them again"
        )
    if has > wanted:
        return (
            f"registry.ledger: is an older one, with {_counted(wanted)}, {path} has {has}; "
            "say driftune erase --again, which takes them back into the ledger"
        )
    return (
        f"{path}: has other erasures than the ledger; say driftune erase --again, which joins them"
    )


def unfinished(places: Places) -> str | None:
    """That an erasure did not end."""
    if not places.open:
        return None
    number = min(places.open)
    each = places.listed.erasures[number - 1]
    users = "driftune erase again with the same users, or " if each.users else ""
    return f"erasure {number} of {each.at} did not end; say {users}driftune erase --again"


def lake_differs(config: Config, places: Places) -> str | None:
    """How the lake differs from the list."""
    lake, known = places.lake, len(places.listed.erasures)
    if lake is None or lake == known:
        return None
    if lake > known:
        return lost_line(config, lake, known)
    return (
        f"the lake {store_of(config)} is from before erasure {lake + 1} of {known}, whose rows may "
        "be back in it; say driftune erase --again, which applies them again"
    )


def lost_line(config: Config, lake: int, known: int) -> str:
    """That the lake has had more erasures than list and ledger know of."""
    return (
        f"the lake {store_of(config)} has had {_counted(lake)}, list and ledger know of {known}; "
        f"put a newer {Workspace(config).suppressed} or ledger back; where both are gone for good, "
        "say driftune erase --forget-lost, then erase those users again"
    )


def _counted(erasures: int) -> str:
    return "1 erasure" if erasures == 1 else f"{erasures} erasures"
