"""What roles make of a text, made once while the text is read.

To parse every text again for each question that is asked of a day costs more than to read it. So
the file that takes the rows holds, beside each text, the number, label or time that it says.
"""

from collections.abc import Collection

from driftune.config import Config
from driftune.lake import roles, times, values
from driftune.lake.duck import identifier

UNREADABLE, WALL, INSTANT, HAS_OFFSET, HASH = (
    f"_driftune_{name}" for name in ("unreadable", "wall", "instant", "has_offset", "hash")
)
# Groups of columns: SQL by name.
Derived = list[dict[str, str]]


def name_of(role: str) -> str:
    """The column that holds the values of a label or number, by its canonical name."""
    return f"_driftune_{role}"


def sources(config: Config) -> frozenset[str]:
    """The delivered columns whose texts are made something of."""
    given = [*roles.labels(config).values(), config.columns.time.role]
    given += roles.numbers(config).values()
    return frozenset(role for role in given if isinstance(role, str))


def derived(config: Config, columns: Collection[str]) -> Derived:
    """SQL of the derived columns of a text file, by their names, over its ``columns``.

    The second and later groups use the names of those before. None is made where roles are
    expressions, which see other values than the texts, where a row is a list, or where one has no
    column.
    """
    config = roles.without_missing(config, columns)
    time = config.columns.time
    if config.source.explode or roles.expressions(config) or not sources(config) <= set(columns):
        return []
    types = dict.fromkeys(columns, "VARCHAR")
    value = roles.expression(time.role)
    numbers = roles.numbers(config)
    first = {
        name_of(name): values.label_value(role, types)
        for name, role in roles.labels(config).items()
    }
    first |= {
        name_of(name): values.number(roles.expression(role), "VARCHAR")
        for name, role in numbers.items()
    }
    offset = times.offset_of(value) if times.is_text(time, "VARCHAR") else "false"
    first[HAS_OFFSET] = f"coalesce({offset}, false)"
    known = {name: identifier(name_of(name)) for name in numbers}
    second = {
        UNREADABLE: values.unreadable(numbers, types, known),
        WALL: times.wall_clock(time, value, "VARCHAR", "some", HAS_OFFSET) or "NULL::TIMESTAMP",
        INSTANT: times.instant(time, value, "VARCHAR", "some", HAS_OFFSET) or "NULL::TIMESTAMP",
    }
    first[HASH] = f"hash({', '.join(map(identifier, columns))})"
    return [first, second]


def names(groups: Derived) -> tuple[str, ...]:
    """The names of derived columns."""
    return tuple(name for group in groups for name in group)


def with_derived(scan: str, groups: Derived) -> str:
    """A relation with groups of derived columns beside its own."""
    for group in groups:
        named = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in group.items())
        scan = f"(SELECT *, {named} FROM {scan})"
    return scan


def fields(config: Config) -> dict[str, str]:
    """The canonical columns that ``derived`` has made, as SQL over them and the texts."""
    found = {name: identifier(name_of(name)) for name in roles.numbers(config)}
    found["unreadable_numbers"] = UNREADABLE
    for name, role in roles.labels(config).items():
        text, value = roles.expression(role), name_of(name)
        found[f"{name}_value"] = value
        found[f"{name}_label"] = f"coalesce({value}::VARCHAR, {text}, 'null')"
    return found
