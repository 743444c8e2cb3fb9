"""What a world holds, by content: the same for a run that was disturbed and for one that was not.

Left out is what differs between any two runs: times, owners of claims, attempts, paths, random
names, and how often the lake was written to.
"""

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from driftune.config.workspace import Workspace
from driftune.io import read_json
from driftune.lake.table import Lake
from driftune.models.adapters import load_adapter
from driftune.models.backbone import backbone_mark
from driftune.registry.champions import adapter_folder, champions_for
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import client, mirrored, model_name
from driftune.registry.schema import metadata
from tests.anywhere import anywhere
from tests.conftest import World

OF_A_RUN = {"owner", "lease_until", "attempts", "lake_version"}

MOMENT = re.compile(r"_at$|^at$")
# How long the run took that took the day in: one that was killed has not said.
DURATIONS = re.compile(r'\s*<section aria-labelledby="run">.*?</section>\s*', re.DOTALL)
SHOWN = (
    re.compile(r"<!-- [0-9a-f]{32} -->"),
    re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC"),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\d{8}T\d{6}\.\d+Z"),
    re.compile(r"driftune \([^)<]*"),
    re.compile(r"<dt>(Attempts|Seconds)</dt><dd>[^<]*"),
)


def state_of(world: World) -> dict[str, Any]:
    """Lake, ledger, registry, reports and events of a world, without what differs run by run."""
    with Ledger(world.config) as ledger:
        return {
            "lake": _lake(world),
            "ledger": _ledger(ledger),
            "adapters": _adapters(world, ledger),
            "registry": _registry(world, ledger),
            "records": _records(world),
            "reports": _reports(Workspace(world.config).reports),
            "events": _events(world.root / "events.txt"),
        }


def soundness(world: World) -> list[str]:
    """What may never be, however a run ended, each in a line: none in a sound world."""
    wrong = []
    with Ledger(world.config) as ledger:
        promoted = Counter(row.decision_id for row in ledger.switches() if row.action == "promote")
        wrong += [f"{each} was promoted {n} times" for each, n in promoted.items() if n > 1]
        ended = {row.id: row for row in ledger.decisions() if row.state == "promoted"}
        if set(ended) != set(promoted) - {None}:
            wrong.append(f"switches of {sorted(map(str, promoted))}, decisions {sorted(ended)}")
        pointers = {key: row.version for key, row in ledger.champions().items()}
        backbone = backbone_mark(Workspace(world.config).model / "backbone") or ""
        serving, _ = champions_for(world.config, ledger, backbone, [*pointers])
        wrong += [f"{key}: {one.problem}" for key, one in serving.items() if one.problem]
        if Workspace(world.config).mlflow.exists():
            known = {row.sha256 for key in pointers for row in ledger.versions(key)}
            registry = client(world.config)
            for model in registry.search_registered_models():
                for version in model.aliases.values():
                    held = registry.get_model_version(model.name, version)
                    if held.tags.get("sha256") not in known:
                        wrong.append(f"{model.name}: the alias names what the ledger lacks")
        held = Lake.of(world.config)
        wrong += [problem for day in held.days if (problem := held.damage(day))]
        wrong += [
            f"{row.day} is recorded, but not in the lake"
            for row in ledger.days()
            if row.day not in {str(day) for day in held.days}
        ]
    return wrong


def _lake(world: World) -> dict[str, Any]:
    lake = Lake.of(world.config)
    found: dict[str, Any] = {}
    with anywhere() as con:
        for day in lake.days:
            table = lake.relation([day])
            rows = con.execute(f"SELECT count(*), bit_xor(hash(r)) FROM {table} AS r").fetchone()
            found[str(day)] = (rows, lake.contents[day])
    return found


def _ledger(ledger: Ledger) -> dict[str, Any]:
    tables = {}
    for name, table in metadata.tables.items():
        if name == "runs":
            continue
        rows = ledger.read(sa.select(table).order_by(*table.primary_key.columns))
        tables[name] = [_plain(dict(row._mapping)) for row in rows]
    for erasure in tables["erasures"]:
        # An erasure that was killed and said again counts what was left.
        del erasure["removed"]
        erasure["finished"] = erasure["finished"] is not None
    return tables


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _plain(part)
            for name, part in value.items()
            if name not in OF_A_RUN and name != "seconds" and not MOMENT.search(name)
        }
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, str):
        for pattern in SHOWN:
            value = pattern.sub("…", value)
    return value


def _adapters(world: World, ledger: Ledger) -> dict[str, Any]:
    """The hash of every version's files, read and checked in full."""
    found = {}
    for key, pointer in ledger.champions().items():
        for row in ledger.versions(key):
            folder = adapter_folder(world.config, key, row.version, row.sha256)
            _, card = load_adapter(folder, backbone=row.backbone)
            found[f"{key} {row.version}"] = card["sha256"]
        found[key] = pointer.version
    return found


def _registry(world: World, ledger: Ledger) -> dict[str, Any]:
    """MLflow's versions with their tags, and where each alias stands."""
    if not Workspace(world.config).mlflow.exists():
        return {}
    registry = client(world.config)
    found: dict[str, Any] = {"aliases": mirrored(world.config, ledger)}
    for key in ledger.champions():
        versions = registry.search_model_versions(f"name = '{model_name(key)}'")
        found[key] = sorted((int(each.version), sorted(each.tags.items())) for each in versions)
    return found


def _records(world: World) -> dict[str, Any]:
    """Quality records, Data Docs' records and quarantined rows of every day."""
    home = Workspace(world.config).home
    found = {}
    for folder in ("quality", "data_docs", "columns"):
        for path in sorted((home / folder).rglob("[!.]*.json")):
            found[str(path.relative_to(home))] = _plain(read_json(path))
    for path in sorted((home / "quarantine").glob("[!.]*.parquet")):
        found[path.name] = pd.read_parquet(path).to_dict("list")
    return found


def _reports(site: Path) -> dict[str, str]:
    """The site's pages; of Evidently's, which name everything anew each time, only that it is."""
    found = {}
    for path in sorted(site.rglob("[!.]*.html")):
        name = str(path.relative_to(site))
        text = "" if name.startswith("drift/") else path.read_text(encoding="utf-8")
        found[name] = _plain(re.sub(r"\s*\n\s*", "\n", DURATIONS.sub("\n", text)))
    return found


def _events(path: Path) -> list[str]:
    """What was emitted, once each: an event is a wake-up, sent at least once."""
    return sorted(set(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []


def differences(wanted: Any, found: Any, where: str = "", close: float = 0.0) -> list[str]:
    """Where two states differ, a line each; floats may by this part of them (``close``)."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            line
            for name in sorted({*wanted, *found}, key=str)
            for line in differences(wanted.get(name), found.get(name), f"{where}/{name}", close)
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [
            line
            for place, (one, other) in enumerate(zip(wanted, found, strict=True))
            for line in differences(one, other, f"{where}/{place}", close)
        ]
    if wanted == found:
        return []
    floats = isinstance(wanted, float) and isinstance(found, float)
    if floats and math.isclose(wanted, found, rel_tol=close, abs_tol=close):
        return []
    if isinstance(wanted, str) and isinstance(found, str):
        at = next((n for n, (a, b) in enumerate(zip(wanted, found, strict=False)) if a != b), 0)
        wanted, found = wanted[max(at - 60, 0) :], found[max(at - 60, 0) :]
    return [f"{where}: {str(wanted)[:160]!r} became {str(found)[:160]!r}"]
