"""Bundles in MLflow's registry: each is a version of one pyfunc model, alias ``champion``."""

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from driftune.config import Config
from driftune.errors import RegistryError
from driftune.lake.roles import mentioned
from driftune.lake.scratch import scratch
from driftune.project import Project
from driftune.registry.mlflow_mirror import (
    ALIAS,
    client,
    experiment_of,
    faults,
    line_of,
    new_version,
)
from driftune.serving.export import column_types
from driftune.serving.manifest import NAME, Manifest, read_manifest
from driftune.serving.parts import FOLDER

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

TAG = "bundle"
_NEEDED = ("torch", "numpy", "pandas", "pyarrow", "safetensors", "tzdata")
_SCORES = {
    "p_click": "double",
    "p_convert": "double",
    "p_ctcvr": "double",
    "domain": "string",
    "champion": "long",
    "served_by": "string",
    "why": "string",
}
# MLflow's times have no zone.
_TIMES = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
_KINDS = {"VARCHAR": "string", **dict.fromkeys(_TIMES, "datetime")}
_DAY = "2026-01-01"
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


Example = str | int | float | bool | datetime


class Column(NamedTuple):
    """A column of rows: whether they must have it, its type in a signature (``string``,
    ``datetime``, or ``any``: a number, its text, or none), and a value of that type."""

    name: str
    needed: bool
    kind: str
    example: Example


def register_bundle(project: Project, bundle: Path, name: str) -> str:
    """Register a bundle in MLflow as a version of the pyfunc model ``name``, and set its alias
    ``champion`` to it; returns the version.

    The version has the bundle, the code that scores, a signature, an example, and the bundle's hash
    as the tag ``bundle``. A bundle that is a version already gets the alias alone.

    Raises:
        BundleError: when the bundle is damaged.
        RegistryError: when MLflow cannot be reached or refuses.
    """
    config, manifest = project.config, read_manifest(bundle)
    try:
        registry = client(config)
        found = next(
            (
                str(held.version)
                for held in registry.search_model_versions(f"name = '{name}'")
                if held.tags.get(TAG) == manifest.bundle
            ),
            None,
        )
        if found is None:
            with scratch(config, "mlflow") as folder:
                model = _save(project, bundle, manifest, folder / "model")
                found = _create(config, model, manifest, name)
        registry.set_registered_model_alias(name, ALIAS, found)
    except faults() as error:
        raise RegistryError(f"{name}: MLflow refused the bundle ({line_of(error)})") from None
    return found


def _create(config: Config, model: Path, manifest: Manifest, name: str) -> str:
    """Upload a saved model as a run's artifacts and make it a version."""
    registry = client(config)
    tags = {
        TAG: manifest.bundle,
        "day": manifest.day.isoformat(),
        "data_version": manifest.data,
        "backbone": manifest.backbone,
        "driftune": manifest.version,
    }
    run = registry.create_run(
        experiment_of(config, registry), run_name=f"bundle {manifest.bundle[:12]}", tags=tags
    )
    registry.log_artifacts(run.info.run_id, str(model), "model")
    registry.set_terminated(run.info.run_id)
    return new_version(registry, name, run.info.run_id, f"{run.info.artifact_uri}/model", tags)


def _save(project: Project, bundle: Path, manifest: Manifest, folder: Path) -> Path:
    """Write the model as MLflow has it: bundle, code, environment, signature, example."""
    import mlflow.pyfunc

    found = columns(project, manifest)
    whole = folder.with_name("bundle")
    shutil.copytree(bundle / FOLDER, whole / FOLDER)
    shutil.copyfile(bundle / NAME, whole / NAME)
    package = importlib.util.find_spec("driftune")
    assert package is not None and package.origin is not None
    code = Path(package.origin).parent
    duckdb = ["duckdb"] if manifest.roles.expressions else []
    with _quiet():
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(code / "serving" / "pyfunc.py"),
            code_paths=[str(code)],
            artifacts={"bundle": str(whole)},
            signature=_signature(found),
            input_example=_example(found),
            pip_requirements=[
                f"{each}=={version(each).partition('+')[0]}" for each in (*_NEEDED, *duckdb)
            ],
            metadata={"bundle": manifest.bundle},
        )
    return folder


def columns(project: Project, manifest: Manifest) -> list[Column]:
    """The columns that rows to be scored have, in order; those of expressions need not be there.

    A time is one for an expression alone: as text the scorer takes it in more forms than MLflow.
    """
    roles, named = manifest.roles, mentioned(project.config)
    days = [day for day in project.lake().days if day <= manifest.day]
    types = column_types(project.config, days)
    needed = [*(role for name, role in roles.ids.items() if name != "request"), *roles.domain]
    needed += [role for name, role in roles.numbers.items() if name not in roles.optional]
    needed += manifest.tables.values()
    optional = [role for name, role in roles.numbers.items() if name in roles.optional]
    optional += [role for name, role in roles.ids.items() if name == "request"]
    numbers = {role.column for role in roles.numbers.values()}
    parts = _domain_parts(manifest)
    found: dict[str, Column] = {}
    for role in (*needed, *optional, roles.time.role):
        # What a side table has, rows need not bring.
        if role.column is None or role.table is not None or role.column in found:
            continue
        number, known = role.column in numbers, types.get(role.column, role.kind)
        value = parts.get(role.column) or _value(known, number=number)
        kind = "any" if number else _KINDS.get(known, "any")
        if kind == "datetime" and role.column.lower() not in named:
            kind, value = "any", _DAY
        found[role.column] = Column(role.column, role in needed, kind, value)
    for column, kind in types.items():
        if column.lower() in named and column not in found:
            value = _value(kind, number=False)
            found[column] = Column(column, False, _KINDS.get(kind, "any"), value)
    return [*found.values()]


def _domain_parts(manifest: Manifest) -> dict[str, str]:
    """A domain's name by the columns of its parts, of one with an adapter where there is one."""
    known = sorted(manifest.domains.values(), key=lambda each: (each.part is None, each.name))
    named = [role.column for role in manifest.roles.domain]
    for domain in known:
        parts = [domain.name] if len(named) == 1 else domain.name.split(" · ")
        if len(parts) == len(named):
            return {column: part for column, part in zip(named, parts, strict=True) if column}
    return {}


def _value(kind: str, *, number: bool) -> Example:
    if kind.startswith("TIMESTAMP"):
        return datetime(2026, 1, 1, tzinfo=None if kind in _TIMES else UTC)
    if number or kind in ("DOUBLE", "FLOAT"):
        return 1.5
    if kind == "BOOLEAN":
        return True
    return 1 if kind in _WHOLE else _DAY if kind == "DATE" else "1"


def _signature(found: list[Column]) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

    anything = AnyType()  # type: ignore[no-untyped-call]  # untyped in MLflow
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(anything if each.kind == "any" else each.kind, each.name, required=each.needed)
        for each in found
    ]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(kind, name) for name, kind in _SCORES.items()]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _example(found: list[Column]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame([{each.name: each.example for each in found}])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow from telling what it checks."""
    import logging

    loggers = [logging.getLogger(name) for name in ("mlflow", "mlflow.pyfunc")]
    before = [(each, each.level) for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for each, level in before:
            each.setLevel(level)
