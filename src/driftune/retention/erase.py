"""Erase: every row of some users out of the workspace, old versions of the lake included.

The list of suppressed users is written first, to the ledger and to disk: from then on no file
brings them back. What follows can be done again, in whole or in part, so that a run that is killed
is finished by a second one. ``apply_again`` does it for all who were ever erased, whom it finds by
their marks: for a workspace that came from a backup, or that has lost the list.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from driftune.adaptation.outside.orphans import end_orphans
from driftune.checksums import drop
from driftune.config import Config
from driftune.config.workspace import Workspace, shown_path
from driftune.errors import DriftuneError, LakeDamageError
from driftune.features.encoder import erase_users
from driftune.features.forgotten import lost_values
from driftune.intake.erasure_problems import lost_line
from driftune.intake.erasures import note_lake, rewriting
from driftune.lake.applied import applied
from driftune.lake.scratch import left_behind
from driftune.lake.store import store_of
from driftune.lake.suppressed import Erasure, Suppressed, marks, read_suppressed
from driftune.locks import locked
from driftune.owners import user_name
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from driftune.retention import lake_rows, parquet_rows
from driftune.retention.asked import Asked, sort_out
from driftune.retention.listed import listed_ids
from driftune.retention.profile_values import forgetting
from driftune.retention.texts import mentions, redact_messages, redact_records
from driftune.training.pretrain import encoder_folder


@dataclass(frozen=True)
class Erased:
    """What an erasure removed, or would: ``rows`` of the lake in ``days``, ``old_files`` of its
    earlier versions, ``encoded`` days, ``quarantined`` rows, ``records`` that named the users,
    their entries of the ``vocabulary``, and ``scratch`` that killed runs left.

    ``elsewhere``: files that still name a user, none of ours to rewrite, and the rows of training
    jobs that are at work, which go as these end. ``before``: ids that were
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
        LakeError: when the lake takes no commit, or list, ledger and lake do not agree on who was
            erased before.
    """
    wanted = _checked(users, why)
    with _at_work(config):
        # Looked for while no day can be committed: one that lands later lands without them.
        with rewriting(config, ledger) as held:
            asked = _asked(config, ledger, wanted, in_advance, held)
            if not asked.held:
                return _nothing(asked)
            hashes = marks(held, asked.held)
            _begin(held, hashes, why)
        found = _removed(config, ledger, asked, hashes)
        with rewriting(config, ledger) as held:
            _finish(found, [each for each in held.erasures if _is_of(each, hashes)])
            note_lake(config, held)
    return found


def apply_again(
    config: Config, ledger: Ledger, why: str = "applied again", *, forget_lost: bool = False
) -> Erased:
    """Bring the list of erased users together from disk and ledger, and erase all of them again.

    That is an erasure with a number of its own. Their rows are found by their marks; encoded days
    and drift counts are dropped as a whole, and made anew. ``forget_lost``: erasures that only the
    lake knows of, whose users nobody can tell, are given up.

    Raises:
        DriftuneError: when a file that may name them is damaged.
        LakeError: when list and ledger are of different workspaces, both are damaged, or the lake
            knows of more erasures.
    """
    with _at_work(config):
        with rewriting(config, ledger, again=True) as held:
            _see_to_lost(config, held, why, forget_lost)
            if not held.erasures:
                return _nothing(Asked([]))
            _begin(held, [], why)
        users = listed_ids(config, ledger, held)
        asked = Asked(users)
        found = _removed(config, ledger, asked, marks(held, users), again=True)
        with rewriting(config, ledger, again=True) as held:
            _finish(found, held.erasures)
            note_lake(config, held)
    return found


@contextmanager
def _at_work(config: Config) -> Iterator[None]:
    """One erasure at a time, and no pruning beside it."""
    workspace = Workspace(config)
    with locked(workspace.upkeep_lock), locked(workspace.erasing_lock):
        yield


def _see_to_lost(config: Config, held: Suppressed, why: str, forget: bool) -> None:
    lake, known = applied(store_of(config)) or 0, len(held.erasures)
    if lake > known and not forget:
        raise LakeDamageError(lost_line(config, lake, known))
    for _ in range(known, lake):
        held.erasures.append(_erasure([], f"lost: {why}"))


def would_erase(
    config: Config, ledger: Ledger, users: Sequence[str], *, in_advance: bool = False
) -> Erased:
    """What an erasure would remove; nothing is written.

    Raises:
        DriftuneError: as ``erase``.
    """
    asked = _asked(config, ledger, _checked(users, "-"), in_advance, read_suppressed(config))
    if not asked.held:
        return _nothing(asked)
    wanted = asked.held
    days = lake_rows.days_with(config, wanted)
    old = lake_rows.old_files(config, wanted, rewritten=days)
    every = set(days) | {date.fromisoformat(file.day) for file in old}
    noted = {*read_suppressed(config).days, *(day.isoformat() for day in days)}
    return Erased(
        marks(read_suppressed(config), wanted),
        sorted(day.isoformat() for day in every),
        sum(days.values()),
        len(old),
        len(parquet_rows.encoded_with(config, wanted)),
        sum(parquet_rows.quarantined_with(config, wanted).values()),
        redact_records(config, wanted, forgetting(config, wanted, noted), write=False)
        + redact_messages(ledger, wanted, write=False),
        _forget(config, wanted, write=False),
        len(left_behind(Workspace(config).staging)),
        [],
        asked.erased,
        asked.unknown,
    )


def _removed(
    config: Config, ledger: Ledger, asked: Asked, hashes: list[str], *, again: bool = False
) -> Erased:
    """Remove what the workspace holds of the users, whom the list has by these hashes."""
    wanted, workspace = asked.held, Workspace(config)
    days = set(lake_rows.days_with(config, wanted))
    mark = hashlib.sha256(" ".join(hashes).encode()).hexdigest()
    rows = lake_rows.erase_rows(config, ledger, wanted, mark, again=again)
    old = lake_rows.old_files(config, wanted)
    days |= {date.fromisoformat(file.day) for file in old}
    # An encoded day knows users by a hash that their marks do not tell.
    encoded = parquet_rows.encoded_with(config, None if again else wanted)
    quarantined = parquet_rows.quarantined_with(config, wanted)
    end_orphans(config, ledger)
    left = left_behind(workspace.staging)
    for file in old:
        store_of(config).drop(file.name)
    copies = lake_rows.copies_with(config, wanted)
    for path in [*copies, *encoded, *parquet_rows.counted_of(config, None if again else days)]:
        drop(path)
    for path in quarantined:
        parquet_rows.erase_quarantined(config, path, wanted)
    # Their rows by day are made anew of the files that hold many days, which are the user's own.
    for folder in [*left, workspace.many_days]:
        shutil.rmtree(folder, ignore_errors=True)
    # Days that lost rows are noted: what a run that was killed has left is found again.
    further = forgetting(config, wanted, read_suppressed(config).days)
    records = redact_records(config, wanted, further) + redact_messages(ledger, wanted)
    vocabulary = _forget(config, wanted)
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


def _forget(config: Config, users: list[str], *, write: bool = True) -> int:
    """Forget in the vocabulary the users, and what no row of others has; returns the entries."""
    folder = encoder_folder(config)
    return erase_users(folder, users, lost_values(config, folder, users), write=write)


def _asked(
    config: Config, ledger: Ledger, users: Sequence[str], in_advance: bool, held: Suppressed
) -> Asked:
    """The ids that are to be erased, apart from those that nothing holds."""
    asked = sort_out(config, ledger, users, held)
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


def _erasure(hashes: list[str], why: str) -> Erasure:
    return Erasure(at=_now(), by=user_name(), why=why.strip(), users=hashes)


def _begin(held: Suppressed, hashes: list[str], why: str) -> None:
    if not any(each.users == hashes and each.finished is None for each in held.erasures):
        held.erasures.append(_erasure(hashes, why))


def _is_of(each: Erasure, hashes: list[str]) -> bool:
    return bool(each.users) and set(each.users) <= set(hashes)


def _finish(found: Erased, ended: list[Erasure]) -> None:
    for each in ended:
        if each.finished is None:
            each.finished, each.removed = _now(), found.counts


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _names(path: Path, users: Sequence[str]) -> bool:
    return parquet_rows.names(path, users) if path.suffix == ".parquet" else mentions(path, users)


def _elsewhere(config: Config, users: Sequence[str]) -> list[str]:
    """Files of the workspace that still name a user: the source's own, a database's old pages."""
    found = []
    given = {*Workspace(config).staging.glob("trainer-*/*.parquet")}
    for path in sorted(config.home.rglob("*")):
        if path in given:
            if parquet_rows.is_of(path, users):
                found.append(shown_path(config, path))
        elif path.is_file() and not path.is_symlink() and path.suffix != ".safetensors":
            try:
                named = _names(path, users)
            except OSError:
                continue
            if named:
                found.append(shown_path(config, path))
    return found
