"""The Great Expectations checkpoint over a staged day, on DuckDB."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from driftune.config import Config
from driftune.config.quality import DOMAIN_RULES
from driftune.errors import SourceError
from driftune.io import Json
from driftune.quality.check import Check
from driftune.quality.docs import DocSection, rendered
from driftune.quality.expectations import EXTRA, TABLES, expectations
from driftune.quality.gx_context import gx_context
from driftune.quality.judge import Judged, judge
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
    with gx_context() as context:
        source = context.data_sources.add_or_update_sql(
            "staging",
            connection_string=f"duckdb:///{staged.database}",
            # Great Expectations takes it and leaves it out of its signature.
            kwargs=_limited(config, staged),  # type: ignore[call-arg]
        )
        runs = {
            table: _run(context, source, staged, table, listed)
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


def _limited(config: Config, staged: Staged) -> dict[str, dict[str, dict[str, str]]]:
    """DuckDB stays out of core: what does not fit goes to a folder beside the staged day."""
    spilled = str(staged.database.with_suffix(".spill"))
    settings = {"memory_limit": config.resources.memory, "temp_directory": spilled}
    return {"connect_args": {"config": settings}}


def _run(
    context: "EphemeralDataContext",
    source: "SQLDatasource",
    staged: Staged,
    table: str,
    listed: list["Expectation"],
) -> "ExpectationSuiteValidationResult":
    """Validate one table."""
    from great_expectations import ExpectationSuite, ValidationDefinition

    batch = source.add_table_asset(
        f"{staged.day} {table}", table_name=table
    ).add_batch_definition_whole_table("day")
    suite = context.suites.add_or_update(ExpectationSuite(f"driftune.{table}", expectations=listed))
    definition = context.validation_definitions.add_or_update(
        ValidationDefinition(name=f"driftune.{staged.day}.{table}", data=batch, suite=suite)
    )
    return definition.run(result_format="SUMMARY")


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
    detail = rule.detail if rule and not outcome.success else ""
    measured = outcome.result or {}
    value = measured.get("observed_value")
    return Check(
        rule=name,
        severity=expected.severity.value,
        sentence=expected.meta["sentence"],
        success=bool(outcome.success),
        unexpected=measured.get("unexpected_count"),
        observed=float(value) if isinstance(value, int | float) else None,
        about=rule.about if rule else tuple(expected.meta.get("about", ())),
        detail=f"could not be computed: {failure}" if failure else detail,
    )


def _failure(info: Mapping[str, Json]) -> str:
    """Why an expectation could not be computed, in one line; empty when it was.

    Great Expectations tells it once, or of each metric that the expectation needs.
    """
    for part in [info, *(part for part in info.values() if isinstance(part, dict))]:
        if part.get("raised_exception"):
            text = str(part.get("exception_message") or "").strip()
            return text.splitlines()[0] if text else "no reason is given"
    return ""
