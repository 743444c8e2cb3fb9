"""The rules a day's rows must keep: one list for quarantine, checkpoint and report."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from driftune.config import Config


@dataclass(frozen=True)
class RowRule:
    """A rule about single rows: rows for which ``broken`` holds go to quarantine.

    ``broken`` is a DuckDB predicate over the staged columns, ``expectation`` names the Great
    Expectations class and ``arguments`` its parameters: two views of the same sentence.
    """

    name: str
    column: str
    sentence: str
    broken: str
    expectation: str
    arguments: dict[str, Any]


def row_rules(config: Config, day: date, known_domains: list[str] | None) -> list[RowRule]:
    """The row rules of one day; without ``known_domains`` every named domain is accepted."""

    def not_null(name: str, column: str, sentence: str) -> RowRule:
        return RowRule(
            name,
            column,
            sentence,
            f"{column} IS NULL",
            "ExpectColumnValuesToNotBeNull",
            {"column": column},
        )

    def label(name: str, column: str, role: str) -> RowRule:
        return RowRule(
            name,
            column,
            f"The {role} label is 0 or 1.",
            f"{column} NOT IN ('0', '1')",
            "ExpectColumnValuesToBeInSet",
            {"column": column, "value_set": ["0", "1"]},
        )

    rules = [
        not_null("user_missing", "user_id", "Every impression names its user."),
        not_null("item_missing", "item_id", "Every impression names its item."),
        not_null("time_unreadable", "event_time", "The impression's time can be read."),
        RowRule(
            "other_day",
            "event_day",
            f"The impression happened on {day} in {config.timezone}.",
            f"event_day <> '{day}'",
            "ExpectColumnValuesToBeInSet",
            {"column": "event_day", "value_set": [day.isoformat()]},
        ),
        not_null("domain_missing", "domain", "Every impression names its domain."),
        label("click_label", "click_label", "click"),
        label("convert_label", "convert_label", "conversion"),
        RowRule(
            "convert_without_click",
            "convert_value",
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
        RowRule(
            "duplicate",
            "copy_number",
            "No row is an exact copy of an earlier one.",
            "copy_number > 1",
            "ExpectColumnValuesToBeBetween",
            {"column": "copy_number", "max_value": 1},
        ),
        RowRule(
            "number_unreadable",
            "unreadable_numbers",
            "Price, position, propensity and numerical features are numbers where they are given.",
            "unreadable_numbers IS NOT NULL",
            "ExpectColumnValuesToBeNull",
            {"column": "unreadable_numbers"},
        ),
    ]
    if known_domains is not None:
        rules.append(
            RowRule(
                "domain_unknown",
                "domain",
                "The domain is one that the reference days have.",
                "domain IS NOT NULL AND domain NOT IN (SELECT domain FROM known_domains)",
                "ExpectColumnValuesToBeInSet",
                {"column": "domain", "value_set": known_domains},
            )
        )
    return rules
