"""The Great Expectations checkpoint over a staged day, on DuckDB."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING

from driftune.config import Config
from driftune.config.quality import DOMAIN_RULES
from driftune.errors import SourceError
from driftune.io import Json
from driftune.lake.duck import connect
from driftune.quality.check import Check
from driftune.quality.docs import DocSection, rendered
from driftune.quality.expectations import EXTRA, TABLES, expectations
from driftune.quality.gx_context import gx_context
from driftune.quality.judge import Judged, judge
from driftune.quality.not_finite import ROWS, NotFinite, set_apart, validate_without
from driftune.quality.rules import UNREADABLE, unreadable_columns
from driftune.quality.staged import Staged
from driftune.quality.summary import SummaryRule, summarise

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )
    from great_expectations.data_context.data_context.ephemeral_data_context import (
        EphemeralDataContext,
    )
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.validator.v1_validator import Validator

CRITICAL = "critical"
WARNING = "warning"


@dataclass(frozen=True)
class Checkpoint:
    """All outcomes of a day, the validation as Great Expectations words it, and the judgement."""

    checks: tuple[Check, ...]
    docs: list[DocSection]
    judged: Judged

    @property
    def verdict(self) -> str:
        """``refused`` on a broken critical rule, ``warning`` on another one, else ``ok``.

        What breaks a critical rule about domains is refused by domain and is a warning of the day;
        what is for information only leaves it ``ok``.
        """
        broken = {
            WARNING if check.severity == CRITICAL and check.rule in DOMAIN_RULES else check.severity
            for check in self.checks
            if not check.success
        }
        if CRITICAL in broken:
            return "refused"
        return "warning" if WARNING in broken else "ok"


def validate(config: Config, staged: Staged) -> Checkpoint:
    """Judge the staged day and run its expectations; rows of refused domains are marked.

    Raises:
        SourceError: when a rule could not be computed at all; an expectation of
            ``quality.extra`` is broken then.
        ConfigError: when an expectation of ``quality.extra`` has wrong arguments.
    """
    judged = judge(config, staged)
    summary = summarise(config, staged, judged)
    apart = set_apart(config, staged)
    # Great Expectations joins what is open, and its limit.
    with (
        connect(staged.database, reach=staged.reach, memory=config.resources.memory),
        gx_context(staged.database) as (context, source),
    ):
        run = _Run(context, source, staged)
        runs = {
            table: run.extra(apart, listed) if table == "raw" else run.suite(table, listed)
            for table, listed in expectations(config, staged, summary).items()
            if listed
        }
        docs = [part for table, run in runs.items() for part in _docs(run, table)]
    found = {rule.name: rule for rule in summary}
    checks = [_check(staged, outcome, found) for run in runs.values() for outcome in run.results]
    checks = [
        replace(check, about=unreadable_columns(config, staged))
        if check.rule == UNREADABLE and not check.success
        else check
        for check in checks
    ]
    return Checkpoint(tuple(checks), docs, judged)


@dataclass(frozen=True)
class _Run:
    """Validates tables of a staged day."""

    context: "EphemeralDataContext"
    source: "SQLDatasource"
    staged: Staged

    def suite(self, table: str, listed: list["Expectation"]) -> "ExpectationSuiteValidationResult":
        """Validate expectations on a table."""
        from great_expectations import ExpectationSuite
        from great_expectations.core.run_identifier import RunIdentifier

        suite = ExpectationSuite(f"driftune.{table}", expectations=listed)
        suite = self.context.suites.add_or_update(suite)
        # Run by a validation definition, results are stored as JSON, which not all of them fit.
        found = self._validator(table).validate_expectation_suite(suite)
        run = RunIdentifier(run_time=datetime.now(UTC))
        found.meta |= {"run_id": run, "validation_time": run.run_time}
        return found

    def one(self, table: str, expectation: "Expectation") -> "ExpectationValidationResult":
        """Validate one expectation on a table."""
        return self._validator(table).validate_expectation(expectation)

    def extra(
        self, apart: Mapping[int, NotFinite], listed: list["Expectation"]
    ) -> "ExpectationSuiteValidationResult":
        """Validate those of ``quality.extra``: NaN and infinities count as broken values."""
        plain = [each for number, each in enumerate(listed) if number not in apart]
        found = self.suite("raw", plain)
        for number, rows in apart.items():
            found.results.append(validate_without(rows, listed[number], self.one))
        found.success = all(each.success for each in found.results)
        found.statistics = _statistics(found.results)
        return found

    def _validator(self, table: str) -> "Validator":
        from great_expectations.validator.v1_validator import Validator

        asset = self.source.add_table_asset(f"{self.staged.day} {table}", table_name=table)
        batch = asset.add_batch_definition_whole_table("day")
        # The query that it would show has the values in its text, which SQLAlchemy then reads for
        # parameters: a domain called '%(a)s' would be one.
        shown = {"result_format": "SUMMARY", "return_unexpected_index_query": False}
        return Validator(batch_definition=batch, result_format=shown)


def _statistics(results: list["ExpectationValidationResult"]) -> dict[str, float]:
    """What Great Expectations says of all results together."""
    good = sum(bool(each.success) for each in results)
    return {
        "evaluated_expectations": len(results),
        "successful_expectations": good,
        "unsuccessful_expectations": len(results) - good,
        "success_percent": 100 * good / len(results),
    }


def _docs(run: "ExpectationSuiteValidationResult", table: str) -> list[DocSection]:
    """The rendered validation; overviews of tables other than the rows' name them."""
    found = rendered(run)
    if table != "staged":
        for section in found:
            if section["title"] == "Overview":
                section["title"] = f"Overview: {TABLES[table]}"
    return found


def _check(
    staged: Staged, outcome: "ExpectationValidationResult", summary: Mapping[str, SummaryRule]
) -> Check:
    expected = outcome.expectation_config
    assert expected is not None
    name = expected.meta["rule"]
    rule = summary.get(name)
    failure = _failure(outcome.exception_info or {})
    if failure and not name.startswith(EXTRA):
        raise SourceError(f"{staged.day}: rule '{name}' could not be computed ({failure})")
    measured = outcome.result or {}
    detail = rule.detail if rule and not outcome.success else _beside(measured)
    value = measured.get("observed_value")
    return Check(
        rule=name,
        severity=expected.severity.value,
        sentence=expected.meta["sentence"],
        success=bool(outcome.success),
        unexpected=measured.get("unexpected_count"),
        observed=float(value) if isinstance(value, int | float) and isfinite(value) else None,
        about=rule.about if rule else tuple(expected.meta.get("about", ())),
        detail=f"could not be computed: {failure}" if failure else detail,
    )


def _beside(measured: Mapping[str, Json]) -> str:
    """What is broken by NaN and infinities alone, in words; empty where there is none."""
    rows, all_ = measured.get(ROWS), measured.get("unexpected_count")
    if not isinstance(rows, int):
        return ""
    said = f"NaN or infinite in {rows:,} {'row' if rows == 1 else 'rows'}"
    return f"{all_:,} rows: {said}" if isinstance(all_, int) and all_ != rows else said


def _failure(info: Mapping[str, Json]) -> str:
    """Why an expectation could not be computed, in one line; empty when it was.

    Great Expectations tells it once, or of each metric that the expectation needs.
    """
    for part in [info, *(part for part in info.values() if isinstance(part, dict))]:
        if part.get("raised_exception"):
            text = str(part.get("exception_message") or "").strip()
            return text.splitlines()[0] if text else "no reason is given"
    return ""
