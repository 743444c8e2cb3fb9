"""The section ``quality`` of params.yaml: limits, bands, severities, expectations of one's own."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from driftune.config.base import RANGE, RISING, Bound, Positive, Section, Share

Severity = Literal["critical", "warning", "info"]

# An argument of an expectation, as YAML gives it.
Argument = str | int | float | bool | list[str] | None

# Expectations whose arguments are whole queries.
_QUERIES = {"expectqueryresultstomatchcomparison", "unexpectedrowsexpectation"}
# What SQLAlchemy takes for a parameter, wherever it stands in a statement.
_PLACE = re.compile(r"%\([^)]+\)s")

# Rules about single rows. A broken row goes to quarantine; `off` and releases let it in again.
ROW_RULES = (
    *("user_missing", "item_missing", "time_unreadable", "other_day", "domain_missing"),
    *("domain_unknown", "click_label", "convert_label", "convert_without_click", "duplicate"),
    *("number_unreadable", "row_unreadable"),
)
# Rows that break one of these can be encoded all the same.
RELEASABLE = ("convert_without_click", "duplicate", "number_unreadable")
DOMAIN_REFUSED = "domain_refused"

# Rules about the day, each of its domains and each of its columns, with their severities. A
# critical rule about the day or a column refuses the day, one about domains those that break it.
DAY_RULES: dict[str, Severity] = {
    "enough_rows": "critical",
    "rejected_share": "critical",
    "domains_refused": "critical",
    "stale_day": "critical",
    "hours_covered": "warning",
    "hours_missing": "warning",
    "click_rate": "warning",
    "clicks_alone": "critical",
    "last_impression": "warning",
    "written_early": "info",
    "files": "warning",
    "repeated": "warning",
}
DOMAIN_RULES: dict[str, Severity] = {
    "domain_rejected": "critical",
    "domain_gone": "critical",
    "domain_click_rate_absurd": "critical",
    "domain_volume": "warning",
    "domain_click_rate": "warning",
    "domain_conversion_rate": "warning",
}
COLUMN_RULES: dict[str, Severity] = {
    "column_range": "warning",
    "column_nulls": "warning",
    "column_new_values": "warning",
    "column_outliers": "warning",
    "column_format": "warning",
    "column_frequent": "warning",
    "column_distinct": "warning",
    "column_known": "warning",
    "column_per_item": "warning",
    "column_per_user": "warning",
    "column_item_changed": "warning",
    "column_user_changed": "warning",
    "column_item_level": "warning",
    "column_drift": "warning",
}
# Share of a day's rows whose key a side table may lack (table_key_few): each day has new users.
MISSING_KEYS = 0.001
# Rules about files, their columns, and how these differ from the days before; column_lossy: of
# another type, and a value is lost by it or names something else than before.
CHANGE_RULES: dict[str, Severity] = {
    "column_new": "warning",
    "column_missing": "warning",
    "column_case": "warning",
    "column_type": "warning",
    "column_lossy": "critical",
    "column_mixed": "warning",
    "id_inexact": "critical",
    "id_case": "warning",
    "list_empty": "warning",
    "list_unequal": "warning",
    "list_click_outside": "warning",
    "list_no_click": "info",
    "negatives_fewer": "info",
    "files_ignored": "info",
    "files_empty": "info",
    "table_key_missing": "warning",
    "table_key_few": "info",
    "table_value_unreadable": "warning",
}
# Rules about how times are written; time_unit: most are unreadable or of other days, and another
# columns.time would read them.
TIME_RULES: dict[str, Severity] = {
    "time_ambiguous": "warning",
    "time_missing_hour": "warning",
    "time_mixed": "warning",
    "time_unit": "critical",
}
SUMMARY_RULES: dict[str, Severity] = DAY_RULES | DOMAIN_RULES | COLUMN_RULES


class DomainLimits(Section):
    """When a domain's day is kept out of the lake while the others go on.

    ``volume``: fewer of its usual rows; ``click_odds``: so many times more or fewer clicks per row
    without one than usual. ``max_rows``: above it, the day is refused and not its domains.
    """

    max_rejected_share: Share = 0.3
    """Share of rejected rows above which the domain is kept out."""
    volume: Share = 0.1
    """Share of its usual rows below which the domain is kept out."""
    click_odds: float = Field(4.0, gt=1)
    """Factor on its usual odds of a click above which (or below its inverse) it is kept out."""
    min_rows: Positive = 100
    """Usual rows below which a domain is not compared."""
    max_rows: Share = 0.5
    """Share of the day's rows in such domains above which the day is refused."""


class ColumnSlack(Section):
    """What a figure of a column may always exceed its usual one by, as a share of the rows.

    ``item_changed``, ``user_changed``: of the items (users) that had another value on the days
    before; ``item_level``: by how much the same items' values are up or down, in logarithms.
    """

    nulls: Share = 0.005
    """Nulls."""
    values: Share = 0.005
    """Values never seen before."""
    outliers: Share = 0.005
    """Outliers."""
    format: Share = 0.005
    """Ids of an unusual form."""
    frequent: Share = 0.005
    """Rows of single ids that had far fewer."""
    per_item: Share = 0.005
    """Values unlike the other rows of the same item or user."""
    item_changed: Share = 0.05
    """Items whose value changed, as a share of the items."""
    user_changed: Share = 0.05
    """Users whose value changed, as a share of the users."""
    item_level: Share = 0.03
    """Change of the level of the same items' values, in logarithms."""
    distinct: Share = 0.1
    """Distinct ids, in logarithms."""
    known_users: Share = 0.005
    """Rows of users that the encoder knows."""
    known_items: Share = 0.1
    """Rows of items that the encoder knows."""
    drift: Share = 0.15
    """Distance between the mixes of values."""


class Extra(Section):
    """A Great Expectations class over the columns as delivered, with its arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)

    expectation: str
    """Class of Great Expectations; its arguments stand beside it."""
    severity: Severity = "warning"
    """Severity when it is broken."""
    sentence: str = Field(min_length=1)
    """What the day's page says."""

    @field_validator("expectation")
    @classmethod
    def _exists(cls, name: str) -> str:
        if name.lower() not in _expectations():
            raise ValueError(
                "is no expectation of Great Expectations; write its class, "
                "such as ExpectColumnValuesToBeInSet"
            )
        if name.lower() in _QUERIES:
            raise ValueError("runs queries of its own; write an expectation about columns")
        return name

    @model_validator(mode="after")
    def _columns_can_be_named(self) -> Self:
        for argument, value in self.arguments.items():
            names = value if isinstance(value, list) else [value]
            found = [name for name in names if _PLACE.search(str(name))]
            if "column" in argument.lower() and found:
                raise ValueError(
                    f"{argument}: Great Expectations takes {found[0]!r} for a parameter; "
                    "deliver the column under another name"
                )
        return self

    @property
    def arguments(self) -> dict[str, Argument]:
        """What the class is made with, as params.yaml gives it."""
        return dict(self.model_extra or {})


def _expectations() -> set[str]:
    """Names of the classes, in lower case, by the files that hold them: importing takes seconds."""
    spec = find_spec("great_expectations")
    folders = spec.submodule_search_locations if spec else None
    core = Path(next(iter(folders or [""]))) / "expectations" / "core"
    return {path.stem.replace("_", "") for path in core.glob("expect_*.py")}


# Severities before they are validated: a bare `off` is false in YAML.
Given = dict[str, str | bool]


class Quality(Section):
    """Limits of the day's data quality; above max_rejected_share the day is refused whole.

    Usual figures are those of the last ``history_days`` days, of the day's weekday alone where
    there are ``weekday_days`` of them; ``band`` is the deviation in robust standard deviations
    that counts.
    """

    min_rows: Positive = 100
    """Rows below which the day is refused."""
    max_rejected_share: Share = 0.2
    """Share of rejected rows above which the day is refused."""
    min_hours: int = Field(12, ge=1, le=24)
    """Hours with impressions below which the day is partial: a warning, no drift verdict."""
    click_rate: Annotated[tuple[Share, Share], RISING] = (0.001, 0.9)
    """Lowest and highest click rate without a warning."""
    max_silence_hours: float = Field(3.0, gt=0, le=24)
    """Hours without impressions before the day's end."""
    files: Positive | None = None
    """Files with rows a day; null: as many as on the days before."""
    history_days: Positive = 28
    """Days before that say what is usual."""
    weekday_days: int = Field(3, ge=3)
    """Days of the same weekday that are needed to compare with these alone."""
    band: float = Field(6.0, gt=0)
    """Robust standard deviations from the median that count as unusual."""
    volume: float = Field(0.5, gt=0)
    """Slack of a domain's rows, in logarithms."""
    rate: float = Field(0.4, gt=0)
    """Slack of its click and conversion rates, in log odds."""
    domain: DomainLimits = DomainLimits()
    """When a domain is kept out while the others go on."""
    slack: ColumnSlack = ColumnSlack()
    """Slack of the figures of a column."""
    ranges: dict[str, Annotated[tuple[Bound, Bound], RANGE]] = {"propensity": (0.0, 1.0)}
    """Lowest and highest value of a column; null: no bound."""
    severity: dict[str, Literal["critical", "warning", "info", "off"]] = {}
    """Severity of a rule: `critical`, `warning`, `info` or `off`."""
    extra: list[Extra] = []
    """Further expectations of Great Expectations."""

    @field_validator("severity", mode="before")
    @classmethod
    def _rules_exist(cls, given: Given) -> Given:
        if not isinstance(given, dict):
            return given
        for rule in given:
            if rule not in (rules := (*ROW_RULES, *SUMMARY_RULES, *CHANGE_RULES, *TIME_RULES)):
                raise ValueError(f"{rule!r} is no rule; there are {', '.join(rules)}")
            if given[rule] in (False, "off") and rule in ROW_RULES and rule not in RELEASABLE:
                raise ValueError(f"{rule} cannot be off: such rows cannot be encoded")
        return {rule: "off" if value is False else value for rule, value in given.items()}

    def severity_of(self, rule: str) -> Severity | Literal["off"]:
        """The severity of a rule: critical, warning, info or off."""
        severities = SUMMARY_RULES | CHANGE_RULES | TIME_RULES
        return self.severity.get(rule, severities.get(rule, "warning"))
