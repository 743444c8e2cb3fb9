"""Champions: which adapter serves each domain now, loaded as one bank."""

import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.models.adapters import Adapter, AdapterBank, AdapterFileError, load_adapter
from driftune.registry.ledger import BASE, ROLLBACK, Ledger
from driftune.registry.rows import AdapterRecord
from driftune.registry.schema import adapters, champions

log = logging.getLogger("driftune")

# Of so many domains each is asked for alone.
FEW = 20


@dataclass(frozen=True)
class Champion:
    """The champion of a domain. Version 0 is the frozen base.

    ``problem`` says why a promoted version does not serve (its file is damaged, or the backbone
    was pre-trained anew): the base path serves then.
    """

    version: int
    reference: list[date]
    folder: Path | None = None
    problem: str | None = None

    @property
    def serves(self) -> int:
        """The version that really serves."""
        return BASE if self.problem else self.version


def adapter_folder(config: Config, key: str, version: int, sha256: str) -> Path:
    """Where an adapter version's files lie; two runs that reach for one version do not collide."""
    return Workspace(config).adapters / key / f"{version:05d}-{sha256[:12]}"


def load_version(
    config: Config, ledger: Ledger, key: str, version: int, backbone: str | None
) -> Adapter:
    """The adapter of a version, fit to serve; ``backbone``: the fingerprint it must be made for.

    Raises:
        AdapterFileError: when the ledger lacks it, its files are damaged, or it does not fit.
    """
    record = ledger.adapter(key, version)
    if record is None:
        raise AdapterFileError("the ledger lacks this version")
    folder = adapter_folder(config, key, version, record.sha256)
    adapter, _ = load_adapter(folder, backbone=backbone or record.backbone)
    return adapter


def newest_day(ledger: Ledger) -> str | None:
    """The newest day in the lake (ISO), by the ledger: where the data stands; None without any."""
    return max((row.day for row in ledger.days()), default=None)


def version_before(ledger: Ledger, key: str, version: int) -> int:
    """The version that this one replaced when it was promoted; the frozen base's is itself."""
    for row in reversed(ledger.switches(key)):
        if row.to_version == version != BASE and row.action != ROLLBACK:
            return row.from_version
    return BASE


def _records(ledger: Ledger, keys: list[str]) -> dict[str, AdapterRecord]:
    """The records of the champions of domains (keys); of very many in one query."""
    if len(keys) <= FEW:
        return {}
    same = sa.and_(
        adapters.c.domain_key == champions.c.domain_key, adapters.c.version == champions.c.version
    )
    rows = ledger.read(sa.select(adapters).join(champions, same))
    return {row.domain_key: AdapterRecord(*row) for row in rows}


def champions_for(
    config: Config, ledger: Ledger, backbone: str, keys: list[str]
) -> tuple[dict[str, Champion], AdapterBank]:
    """The champion of each domain key, and the bank that serves them."""
    pointers, records = ledger.champions(), _records(ledger, keys)
    base = config.reference.days
    found: dict[str, Champion] = {}
    bank = AdapterBank()
    for key in sorted(keys):
        row = pointers.get(key)
        if row is None or row.version == BASE:
            found[key] = Champion(BASE, base)
            continue
        record = records.get(key)
        if record is None or record.version != row.version:
            record = ledger.adapter(key, row.version)
        if record is None:
            found[key] = Champion(row.version, base, None, "the ledger lacks this version")
            continue
        folder = adapter_folder(config, key, row.version, record.sha256)
        try:
            adapter, _ = load_adapter(folder, backbone=backbone)
            bank.load(key, adapter)
        except (AdapterFileError, ValueError) as error:
            log.warning("%s: adapter %d does not serve: %s", row.domain, row.version, error)
            found[key] = Champion(row.version, base, folder, str(error))
            continue
        days = [date.fromisoformat(day) for day in record.reference_days]
        found[key] = Champion(row.version, days, folder)
    return found, bank
