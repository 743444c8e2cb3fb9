"""The rules a day's rows must keep: one list for quarantine, checkpoint and report."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from driftune.config import ColumnRole, Config
from driftune.config.columns import SqlRole
from driftune.config.quality import Argument
from driftune.lake import roles
from driftune.lake.duck import connect

if TYPE_CHECKING:
    from driftune.quality.staged import Staged

UNREADABLE = "number_unreadable"


@dataclass(frozen=True)
class RowRule:
    """A rule about single rows: rows for which ``broken`` holds go to quarantine.

    ``broken`` is a DuckDB predicate over the staged columns, ``expectation`` names the Great
    Expectations class and ``arguments`` its parameters: two views of the same sentence.
    ``column`` is the source column (or expression) as params.yaml names it.
    """

    name: str
    column: str
    sentence: str
    broken: str
    expectation: str
    arguments: Mapping[str, Argument]
    severity: str = "warning"


def row_rules(
    config: Config, day: date, known_domains: list[str] | None, released: Collection[str]
) -> list[RowRule]:
    """The row rules of one day; without ``known_domains`` every named domain is accepted.

    One that is off, or whose rows were ``released``, is still reported, for information, and
    rejects nothing.
    """
    let_in = set(released)
    let_in |= {name for name, severity in config.quality.severity.items() if severity == "off"}
    return [
        replace(rule, broken="false", severity="info")
        if rule.name in let_in
        else replace(rule, severity=config.quality.severity_of(rule.name))
        for rule in _all_rules(config, day, known_domains)
    ]


def unreadable_columns(config: Config, staged: "Staged") -> tuple[str, ...]:
    """The columns, by their names in params.yaml, that hold what is no number."""
    with connect(staged.database, reach=staged.reach) as con:
        rows = con.execute(
            "SELECT DISTINCT unreadable_numbers FROM parsed WHERE unreadable_numbers IS NOT NULL"
        ).fetchall()
    found = {name for (names,) in rows for name in names.split(", ")}
    numbers = found & set(roles.OPTIONAL_NUMBERS)
    named = {name: getattr(config.columns, name) for name in numbers}
    sources = {name: role for name, role in named.items() if isinstance(role, str)}
    return tuple(sorted(sources.get(name, name) for name in found))


def _all_rules(config: Config, day: date, known_domains: list[str] | None) -> list[RowRule]:
    rules = [*_identity_rules(config, day), *_label_rules(config), _DUPLICATE]
    if roles.numbers(config):
        rules.append(_unreadable_rule(config))
    if known_domains is not None:
        rules.append(
            RowRule(
                "domain_unknown",
                _domain_source(config),
                "The domain is one that the reference days have.",
                "domain IS NOT NULL AND domain NOT IN (SELECT domain FROM known_domains)",
                "ExpectColumnValuesToBeInSet",
                {"column": "domain", "value_set": known_domains},
            )
        )
    return rules


def _identity_rules(config: Config, day: date) -> list[RowRule]:
    """Who saw what, when and where."""
    columns, time = config.columns, _source(config.columns.time.role)
    return [
        _not_null("user_missing", "user_id", _source(columns.user), "names its user."),
        _not_null("item_missing", "item_id", _source(columns.item), "names its item."),
        replace(
            _not_null("time_unreadable", "event_time", time, ""),
            sentence="The impression's time can be read.",
        ),
        RowRule(
            "other_day",
            time,
            f"The impression happened on {day} in {config.timezone}.",
            f"event_day <> '{day}'",
            "ExpectColumnValuesToBeInSet",
            {"column": "event_day", "value_set": [day.isoformat()]},
        ),
        _not_null("domain_missing", "domain", _domain_source(config), "names its domain."),
    ]


def _not_null(name: str, column: str, source: str, does: str) -> RowRule:
    return RowRule(
        name,
        source,
        f"Every impression {does}",
        f"{column} IS NULL",
        "ExpectColumnValuesToNotBeNull",
        {"column": column},
    )


def _label_rules(config: Config) -> list[RowRule]:
    words = {"click": "click", "convert": "conversion"}
    labels = {name: _source(role) for name, role in roles.labels(config).items()}
    rules = [
        RowRule(
            f"{name}_label",
            source,
            f"The {words[name]} label is 0 or 1.",
            f"{name}_label NOT IN ('0', '1')",
            "ExpectColumnValuesToBeInSet",
            {"column": f"{name}_label", "value_set": ["0", "1"]},
        )
        for name, source in labels.items()
    ]
    if "convert" not in labels:
        return rules
    return [
        *rules,
        RowRule(
            "convert_without_click",
            labels["convert"],
            "A conversion needs a click.",
            "click_value < convert_value",
            "ExpectColumnPairValuesAToBeGreaterThanB",
            {
                "column_A": "click_value",
                "column_B": "convert_value",
                "or_equal": True,
                "ignore_row_if": "either_value_is_missing",
            },
        ),
    ]


_DUPLICATE = RowRule(
    "duplicate",
    "(whole row)",
    "No row is an exact copy of an earlier one.",
    "copy_number > 1",
    "ExpectColumnValuesToBeBetween",
    {"column": "copy_number", "max_value": 1},
)


def _unreadable_rule(config: Config) -> RowRule:
    names = [name for name in roles.numbers(config) if name in roles.OPTIONAL_NUMBERS]
    names += ["numerical features"] * bool(config.features.numerical)
    said = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    return RowRule(
        UNREADABLE,
        "(numerical columns)",
        f"{said[0].upper()}{said[1:]} are numbers where they are given.",
        "unreadable_numbers IS NOT NULL",
        "ExpectColumnValuesToBeNull",
        {"column": "unreadable_numbers"},
    )


def _domain_source(config: Config) -> str:
    domain = config.columns.domain
    return " + ".join(domain) if isinstance(domain, list) else _source(domain)


def _source(role: ColumnRole) -> str:
    return role.sql if isinstance(role, SqlRole) else role
