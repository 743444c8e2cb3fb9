"""What a manifest says of the rows: roles and features, with the types that the lake knows."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pyarrow as pa

from driftune.config import ColumnRole, Config
from driftune.config.columns import SqlRole
from driftune.features.encoder import Encoder
from driftune.serving.roles import WHOLE_NUMBER, Role, Roles, Time

_DOT = " · "


def describe_roles(
    config: Config, types: Mapping[str, str], fields: Mapping[str, bytes], encoder: Encoder
) -> Roles:
    """The roles as the manifest has them.

    ``types``: those of delivered columns; ``fields``: the texts of each field, as the snapshot has
    them, which say whether all are whole numbers.
    """
    columns, features = config.columns, config.features
    texts = {
        name: pa.ipc.open_file(fields[f"{number}.arrow"]).read_all()["value"].to_pylist()
        for number, name in enumerate(encoder.fields)
    }
    ids: dict[str, ColumnRole] = {"user": columns.user, "item": columns.item}
    if columns.category is not None:
        ids["category"] = columns.category
    read = config.recommender.columns if config.recommender else []
    if columns.request is not None and "request" in read:
        ids["request"] = columns.request
    named = {name: _role(config, f"columns.{name}", role, types) for name, role in ids.items()}
    named |= {
        name: _role(config, f"features.categorical.{name}", role, types)
        for name, role in features.categorical.items()
    }
    found = {
        name: replace(role, whole=_all_whole(texts.get(name, ()))) for name, role in named.items()
    }
    numbers: dict[str, Role] = {}
    for name in dict.fromkeys(["price", *features.debias, *(["position"] * ("position" in read))]):
        role = getattr(columns, name)
        if role is not None:
            numbers[name] = _role(config, f"columns.{name}", role, types)
    for name, role in features.numerical.items():
        numbers[name] = _role(config, f"features.numerical.{name}", role, types)
    given = columns.domain if isinstance(columns.domain, list) else [columns.domain]
    domain = tuple(_domain_role(config, role, types) for role in given)
    shown = _role(config, "columns.time", columns.time.role, types)
    time = Time(shown, columns.time.unit, columns.time.format)
    return Roles(found, domain, numbers, time)


def _domain_role(config: Config, role: ColumnRole, types: Mapping[str, str]) -> Role:
    # Of several columns of tables each has a name of its own.
    of_table = isinstance(role, str) and config.is_of_table(role)
    return _role(config, f"columns.domain: {role}" if of_table else "columns.domain", role, types)


def _role(config: Config, key: str, role: ColumnRole, types: Mapping[str, str]) -> Role:
    if isinstance(role, SqlRole):
        return Role(key, None, role.sql)
    if config.is_of_table(role):
        return Role(key, table=role.partition(".")[0], table_column=role)
    return Role(key, role, None, types.get(role, ""))


def _all_whole(texts: Iterable[str]) -> bool:
    given = [*texts]
    return bool(given) and all(WHOLE_NUMBER.fullmatch(text) for text in given)
