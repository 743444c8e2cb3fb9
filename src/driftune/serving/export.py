"""Export: all that scores need, written as a bundle."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from driftune.config import Config
from driftune.errors import BundleError, ConfigError
from driftune.features.encoder import Encoder
from driftune.intake.columns import read_columns
from driftune.intake.ingest import domains_for
from driftune.io import Json, JsonObject, read_json
from driftune.lake.clock import day_end
from driftune.lake.table import Lake
from driftune.locks import locked
from driftune.project import Project
from driftune.registry.champions import Champion, champions_for
from driftune.registry.status import domain_names
from driftune.serving.described import describe_roles
from driftune.serving.exported_challengers import waiting_challengers
from driftune.serving.exported_model import (
    as_bytes,
    model_files,
    own_columns,
    past_files,
    require_served,
)
from driftune.serving.exported_tables import described_tables, table_files
from driftune.serving.manifest import (
    NAME,
    Domain,
    ForeignFileError,
    Manifest,
    read_manifest,
    write_manifest,
)
from driftune.serving.parts import FOLDER, Part, drop_others, is_part, put
from driftune.serving.presence import FOLDER as REPORTS
from driftune.serving.programs.described import Made
from driftune.serving.snapshot import take_snapshot

if TYPE_CHECKING:
    from driftune.serving.programs.formats import Format

_LOCK = ".lock"


class Exported(NamedTuple):
    """A bundle that was written: its hash, the last day of its counters, how many domains it knows,
    how many of them have an adapter and how many one that cannot serve, its size in bytes, whether
    anything is new, its programs by format, how many challengers it has, and how many wait but
    cannot be scored."""

    bundle: str
    day: date
    domains: int
    adapters: int
    gone: int
    size: int
    changed: bool
    programs: dict[str, Made]
    challengers: int
    lost: int


def export(
    project: Project,
    to: Path,
    last: date | None = None,
    formats: Sequence[str] = (),
    *,
    challengers: bool = False,
) -> Exported:
    """Write a bundle of the champions of this moment, with counters up to the day ``last``.

    By default that is the newest day of the lake. The same state gives the same bytes. The manifest
    comes last: killed before, the former bundle stays as it was. ``formats``: those of the programs
    that it has, too (``serving.programs``); ``challengers``: whether it has those that wait, too.

    Raises:
        BundleError: when the folder holds something else, the project cannot be served, or its
            model not be exported in a format.
        LakeError, BackboneError, LedgerError: as what it reads.
    """
    _check(project.config)
    _check_folder(to)
    forms = _formats(formats)
    view = project.lake()
    days = [day for day in view.days if last is None or day <= last]
    if not days:
        raise BundleError(f"the lake holds no day up to {last or 'now'}; run driftune run first")
    with locked(to / _LOCK):
        said, parts = _plain(project, to, view, days, last or days[-1])
        if challengers:
            waiting, held = waiting_challengers(project, to)
            parts |= held
            said["challengers"] = {key: asdict(each) for key, each in waiting.items()}
        said["parts"] = {name: part.as_json() for name, part in parts.items()}
        before, programs = _before(to), dict[str, Made]()
        if forms:
            from driftune.serving.exported_programs import with_programs

            said, parts, programs = with_programs(project, to, said, parts, forms, before)
        write_manifest(to, said)
        drop_others(to, [*parts.values()])
    now = read_manifest(to)
    champions, waits = now.domains.values(), (now.challengers or {}).values()
    return Exported(
        now.bundle,
        now.day,
        len(champions),
        sum(each.part is not None for each in champions),
        sum(each.problem is not None for each in champions),
        sum(path.stat().st_size for path in to.rglob("*") if path.is_file()),
        before is None or now.bundle != before.bundle,
        programs,
        sum(each.part is not None for each in waits),
        sum(each.problem is not None for each in waits),
    )


def _plain(
    project: Project, to: Path, view: Lake, days: list[date], last: date
) -> tuple[JsonObject, dict[str, Part]]:
    """What the manifest says of what every bundle has, and the parts, which are written."""
    config, served = project.config, project.served
    champions, parts = _champions(project, to)
    snapshot = take_snapshot(config, served.encoder, view, last)
    types = column_types(config, days)
    roles = describe_roles(config, types, snapshot.fields, served.encoder)
    files = {**model_files(config, served), **past_files(config, view, last)}
    files |= table_files(config, last, roles)
    parts |= {name: put(to, given) for name, given in files.items()}
    encoder = _card(served.encoder)
    require_served(config, served, to, parts, encoder)
    parts["encoder"] = put(to, {"encoder.json": encoder})
    parts["fields"] = put(to, snapshot.fields)
    if snapshot.described:
        parts["counters"] = put(to, snapshot.counters)
    said: JsonObject = {
        **_of_project(project, view, last),
        "roles": roles.as_json(),
        "tables": described_tables(config, types),
        "own": own_columns(config),
        "counters": [json.loads(json.dumps(asdict(each))) for each in snapshot.described],
        "domains": {key: asdict(each) for key, each in champions.items()},
    }
    return said, parts


def _formats(names: Sequence[str]) -> "list[Format]":
    """The formats of programs; what makes them is imported for those who ask for some."""
    if not names:
        return []
    from driftune.serving.programs.formats import formats_of

    return formats_of(names)


def _of_project(project: Project, view: Lake, last: date) -> JsonObject:
    """What the manifest says of project and data."""
    config, served = project.config, project.served
    known: list[Json] = [*_named(config)] if config.domains.unknown == "other" else []
    return {
        "driftune": version("driftune"),
        "day": last.isoformat(),
        "ends": _micros(config, last),
        "data": view.version(day for day in view.days if day <= last),
        "timezone": config.timezone,
        "backbone": served.backbone,
        "encoder": served.encoder.fingerprint,
        "conversions": served.model.conversions and config.columns.convert is not None,
        "precision": served.model.precision,
        "other": config.domains.unknown == "other",
        "known": known,
        "text": _is_text(config),
    }


def _before(to: Path) -> Manifest | None:
    """The manifest of the bundle that lies there; None where there is none that can be read."""
    try:
        return read_manifest(to)
    except BundleError:
        return None


def _champions(project: Project, to: Path) -> tuple[dict[str, Domain], dict[str, Part]]:
    """Every domain that the project knows, and the parts that their champions are."""
    config, ledger = project.config, project.ledger
    names = domain_names(ledger)
    names |= {key: name for key, name in _known(config).items() if key not in names}
    found, _ = champions_for(config, ledger, project.served.backbone, sorted(names))
    domains, parts = {}, {}
    for key, champion in found.items():
        part = None
        if champion.serves and champion.folder is not None:
            part = f"adapter {key}"
            parts[part] = put(to, _files(champion))
        domains[key] = Domain(names[key], champion.version, part, _problem(champion))
    return domains, parts


def _problem(champion: Champion) -> str | None:
    """Why a champion cannot serve, the same in every workspace."""
    if champion.problem is None or champion.folder is None:
        return champion.problem
    return champion.problem.replace(f"{champion.folder.parent}/", "")


def _known(config: Config) -> dict[str, str]:
    """The domains of the reference days, by key."""
    from driftune.domains import domain_key

    return {domain_key(name): name for name in _named(config)}


def _named(config: Config) -> list[str]:
    """The domains of the reference days, which later days are folded by."""
    return domains_for(config, date.max) or []


def _files(champion: Champion) -> dict[str, Path | bytes]:
    assert champion.folder is not None
    return {path.name: path for path in sorted(champion.folder.iterdir()) if path.is_file()}


def _card(encoder: Encoder) -> bytes:
    """The encoder's card, without what says which users were erased."""
    card = read_json(encoder.vocabulary.with_name("encoder.json"))
    card.pop("erased", None)
    return as_bytes(card)


def _is_text(config: Config) -> bool:
    """Whether the logs are text files: by the format, or by the ending of the template."""
    given, name = config.source.format, config.source.uri.removesuffix(".gz").removesuffix(".zst")
    return given in ("csv", "jsonl") or (given == "auto" and not name.endswith(".parquet"))


def column_types(config: Config, days: list[date]) -> dict[str, str]:
    """The types in which the lake knows delivered columns, by the newest day that has each."""
    found: dict[str, str] = {}
    for day in days:
        found |= read_columns(config, day)
    return found


def _micros(config: Config, last: date) -> int:
    import numpy as np

    return int(np.datetime64(day_end(config, last), "us").astype(np.int64))


def _check(config: Config) -> None:
    """See that the project is one that a bundle can hold.

    Raises:
        ConfigError: naming the key that it cannot.
    """
    where = f"{config.source_file}:"
    if config.source.explode is not None:
        raise ConfigError(
            f"{where} source.explode: lists are not exported; score rows of single items"
        )


def _check_folder(to: Path) -> None:
    """See that the folder is empty, or holds a bundle, whole or damaged, and make it.

    Raises:
        BundleError: when it holds what no export has written.
    """
    if to.exists() and not to.is_dir():
        raise BundleError(f"{to}: is no folder; name one for the bundle")
    if to.exists():
        foreign = next(_foreign(to), None)
        if foreign is not None:
            raise BundleError(
                f"{to}: holds {foreign} and no bundle; name an empty folder, or one of a bundle"
            )
    to.mkdir(parents=True, exist_ok=True)


def _foreign(to: Path) -> Iterator[str]:
    """What lies in a folder without a manifest that can be read, and is no part of a bundle.

    A damaged manifest beside parts is written anew; another file of its name is not.
    """
    if (to / NAME).exists():
        try:
            read_manifest(to)
            return
        except ForeignFileError:
            raise
        except BundleError:
            if not any(map(is_part, _listed(to / FOLDER))):
                raise
    for each in _listed(to):
        if each.name not in (_LOCK, FOLDER, NAME, REPORTS):
            yield each.name
    for each in _listed(to / FOLDER):
        if not is_part(each):
            yield f"{FOLDER}/{each.name}"


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
