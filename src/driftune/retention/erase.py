"""Erase: every row of some users out of the workspace, old versions of the lake included.

The list of suppressed users is written first: from then on no file brings them back. What follows
can be done again, in whole or in part, so that a run that is killed is finished by a second one.
"""

import getpass
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from driftune.checksums import drop
from driftune.config import Config
from driftune.config.workspace import Workspace, shown_path
from driftune.errors import DriftuneError
from driftune.features.encoder import erase_users
from driftune.intake.scratch import left_behind
from driftune.lake.store import store_of
from driftune.lake.suppressed import Erasure, Suppressed, marks, read_suppressed, rewriting
from driftune.locks import locked
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from driftune.retention import lake_rows, parquet_rows
from driftune.retention.asked import Asked, sort_out
from driftune.retention.texts import mentions, redact_messages, redact_records
from driftune.training.pretrain import encoder_folder


@dataclass(frozen=True)
class Erased:
    """What an erasure removed, or would: ``rows`` of the lake in ``days``, ``old_files`` of its
    earlier versions, ``encoded`` days, ``quarantined`` rows, ``records`` that named the users,
    their entries of the ``vocabulary``, and ``scratch`` that killed runs left.

    ``elsewhere``: files that still name a user, none of ours to rewrite. ``before``: ids that were
    erased already, with the day of it; ``unknown``: ids that nothing holds, each with those that
    are spelled alike and where they are. For neither anything was done.
    """

    users: list[str]
    days: list[str]
    rows: int
    old_files: int
    encoded: int
    quarantined: int
    records: int
    vocabulary: int
    scratch: int
    elsewhere: list[str]
    before: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """The figures alone."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}


def erase(
    config: Config, ledger: Ledger, users: Sequence[str], why: str, *, in_advance: bool = False
) -> Erased:
    """Erase users and keep them out; the audit knows them by salted hashes.

    Days keep their revisions, and decisions what they say: figures over many users. Challengers
    that wait were judged by rows that are gone, and are overtaken. Ids that nothing holds are only
    told; with ``in_advance`` they are kept out as well.

    Raises:
        DriftuneError: without users or a reason, or when a file that may name them is damaged.
        LakeError: when the lake takes no commit.
    """
    wanted = _checked(users, why)
    with locked(Workspace(config).upkeep_lock):
        # Looked for while no day can be committed: one that lands later lands without them.
        with rewriting(config) as held:
            asked = _asked(config, ledger, wanted, in_advance)
            if not asked.held:
                return _nothing(asked)
            hashes = marks(held, asked.held)
            held.users = sorted({*held.users, *hashes})
            _begin(held, hashes, why)
        found = _removed(config, ledger, asked, hashes)
        with rewriting(config) as held:
            _finish(held, hashes, found)
    return found


def would_erase(
    config: Config, ledger: Ledger, users: Sequence[str], *, in_advance: bool = False
) -> Erased:
    """What an erasure would remove; nothing is written.

    Raises:
        DriftuneError: as ``erase``.
    """
    asked = _asked(config, ledger, _checked(users, "-"), in_advance)
    if not asked.held:
        return _nothing(asked)
    wanted = asked.held
    days = lake_rows.days_with(config, wanted)
    old = lake_rows.old_files(config, wanted, rewritten=days)
    every = set(days) | {date.fromisoformat(file.day) for file in old}
    return Erased(
        marks(read_suppressed(config), wanted),
        sorted(day.isoformat() for day in every),
        sum(days.values()),
        len(old),
        len(parquet_rows.encoded_with(config, wanted)),
        sum(parquet_rows.quarantined_with(config, wanted).values()),
        redact_records(config, wanted, write=False) + redact_messages(ledger, wanted, write=False),
        erase_users(encoder_folder(config), wanted, write=False),
        len(left_behind(Workspace(config).staging)),
        [],
        asked.erased,
        asked.unknown,
    )


def _removed(config: Config, ledger: Ledger, asked: Asked, hashes: list[str]) -> Erased:
    """Remove what the workspace holds of the users, whom the list has by these hashes."""
    wanted, workspace = asked.held, Workspace(config)
    days = set(lake_rows.days_with(config, wanted))
    mark = hashlib.sha256(" ".join(hashes).encode()).hexdigest()
    rows = lake_rows.erase_rows(config, ledger, wanted, mark)
    old = lake_rows.old_files(config, wanted)
    days |= {date.fromisoformat(file.day) for file in old}
    encoded = parquet_rows.encoded_with(config, wanted)
    quarantined = parquet_rows.quarantined_with(config, wanted)
    left = left_behind(workspace.staging)
    for file in old:
        store_of(config).drop(file.name)
    copies = lake_rows.copies_with(config, wanted)
    for path in [*copies, *encoded, *parquet_rows.counted_of(config, days)]:
        drop(path)
    for path in quarantined:
        parquet_rows.erase_quarantined(config, path, wanted)
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    records = redact_records(config, wanted) + redact_messages(ledger, wanted)
    vocabulary = erase_users(encoder_folder(config), wanted)
    if ledger.days():
        build_site(config, ledger)
    return Erased(
        hashes,
        sorted(day.isoformat() for day in days),
        rows,
        len(old),
        len(encoded),
        sum(quarantined.values()),
        records,
        vocabulary,
        len(left),
        _elsewhere(config, wanted),
        asked.erased,
        asked.unknown,
    )


def _asked(config: Config, ledger: Ledger, users: Sequence[str], in_advance: bool) -> Asked:
    """The ids that are to be erased, apart from those that nothing holds."""
    asked = sort_out(config, ledger, users)
    if in_advance:
        return Asked(sorted([*asked.held, *asked.unknown]), asked.erased)
    return asked


def _nothing(asked: Asked) -> Erased:
    return Erased([], [], 0, 0, 0, 0, 0, 0, 0, [], asked.erased, asked.unknown)


def read_users(path: Path) -> list[str]:
    """The ids in a text file, one a line, without blanks around them; empty lines do not count.

    Raises:
        DriftuneError: when it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DriftuneError(f"--users-file {path}: cannot be read ({error})") from None
    return [line.strip() for line in lines if line.strip()]


def _checked(users: Sequence[str], why: str) -> list[str]:
    wanted = sorted({user for user in users if user})
    if not wanted:
        raise DriftuneError("no user is named; give --user ID or --users-file FILE")
    if not why.strip():
        raise DriftuneError("--why is empty; say who asked for it, it is kept in the audit")
    return wanted


def _begin(held: Suppressed, hashes: list[str], why: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if not any(each.users == hashes and each.finished is None for each in held.erasures):
        held.erasures.append(Erasure(at=now, by=getpass.getuser(), why=why.strip(), users=hashes))


def _finish(held: Suppressed, hashes: list[str], found: Erased) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for each in held.erasures:
        if each.finished is None and set(each.users) <= set(hashes):
            each.finished, each.removed = now, found.counts


def _names(path: Path, users: Sequence[str]) -> bool:
    return parquet_rows.names(path, users) if path.suffix == ".parquet" else mentions(path, users)


def _elsewhere(config: Config, users: Sequence[str]) -> list[str]:
    """Files of the workspace that still name a user: the source's own, a database's old pages."""
    found = []
    for path in sorted(config.home.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.suffix != ".safetensors":
            try:
                named = _names(path, users)
            except OSError:
                continue
            if named:
                found.append(shown_path(config, path))
    return found
