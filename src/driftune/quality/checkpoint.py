"""The Great Expectations checkpoint over a staged day, on DuckDB."""

import logging
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from driftune.config import Config
from driftune.errors import SourceError
from driftune.logs.staging import Staged
from driftune.quality.docs import rendered

CRITICAL = "critical"
WARNING = "warning"


@dataclass(frozen=True)
class Check:
    """One expectation's outcome."""

    rule: str
    severity: str
    sentence: str
    success: bool
    unexpected: int | None
    observed: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the check as JSON-safe values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Checkpoint:
    """All outcomes of a day, and the validation as Great Expectations words it."""

    checks: tuple[Check, ...]
    docs: list[dict[str, Any]]

    @property
    def verdict(self) -> str:
        """``refused`` on a broken critical rule, ``warning`` on another one, else ``ok``."""
        broken = {check.severity for check in self.checks if not check.success}
        if CRITICAL in broken:
            return "refused"
        return "warning" if broken else "ok"


def validate(config: Config, staged: Staged) -> Checkpoint:
    """Run the day's expectations on the staged table.

    Raises:
        SourceError: when an expectation could not be computed at all.
    """
    from great_expectations import ExpectationSuite, ValidationDefinition

    with _context() as context:
        source = context.data_sources.add_or_update_sql(
            "staging", connection_string=f"duckdb:///{staged.database}"
        )
        batch = source.add_table_asset(
            str(staged.day), table_name="staged"
        ).add_batch_definition_whole_table("day")
        suite = context.suites.add_or_update(
            ExpectationSuite("driftune.day", expectations=_expectations(config, staged))
        )
        definition = context.validation_definitions.add_or_update(
            ValidationDefinition(name=f"driftune.{staged.day}", data=batch, suite=suite)
        )
        result = definition.run(result_format="SUMMARY")
        docs = rendered(result)
    checks = []
    for outcome in result.results:
        expected = outcome.expectation_config
        if outcome.exception_info and outcome.exception_info.get("raised_exception"):
            raise SourceError(
                f"{staged.day}: rule '{expected.meta['rule']}' could not be computed "
                f"({outcome.exception_info.get('exception_message')})"
            )
        measured = outcome.result or {}
        value = measured.get("observed_value")
        checks.append(
            Check(
                rule=expected.meta["rule"],
                severity=getattr(expected.severity, "value", str(expected.severity)),
                sentence=expected.meta["sentence"],
                success=bool(outcome.success),
                unexpected=measured.get("unexpected_count"),
                observed=float(value) if isinstance(value, int | float) else None,
            )
        )
    return Checkpoint(tuple(checks), docs)


def _expectations(config: Config, staged: Staged) -> list[Any]:
    import great_expectations.expectations as catalogue

    quality = config.quality
    low, high = quality.click_rate

    def stated(kind: str, rule: str, sentence: str, severity: str, **arguments: Any) -> Any:
        return getattr(catalogue, kind)(
            **arguments,
            severity=severity,
            meta={"rule": rule, "sentence": sentence},
            notes=sentence,
        )

    table = [
        stated(
            "ExpectTableRowCountToBeBetween",
            "enough_rows",
            f"The day has at least {quality.min_rows} rows.",
            CRITICAL,
            min_value=quality.min_rows,
        ),
        stated(
            "ExpectColumnMeanToBeBetween",
            "rejected_share",
            f"At most {quality.max_rejected_share:.0%} of the rows are rejected.",
            CRITICAL,
            column="rejected",
            max_value=quality.max_rejected_share,
        ),
        stated(
            "ExpectColumnUniqueValueCountToBeBetween",
            "hours_covered",
            f"At least {quality.min_hours} hours have impressions; fewer is a partial day.",
            WARNING,
            column="hour",
            min_value=quality.min_hours,
        ),
        stated(
            "ExpectColumnMeanToBeBetween",
            "click_rate",
            f"The click rate lies between {low:.1%} and {high:.0%}.",
            WARNING,
            column="click_value",
            min_value=low,
            max_value=high,
        ),
    ]
    rows = [
        stated(rule.expectation, rule.name, rule.sentence, WARNING, **rule.arguments)
        for rule in staged.rules
    ]
    return table + rows


@contextmanager
def _context() -> Iterator[Any]:
    """An in-memory GX context whose DuckDB connections are buffered, and closed at the end."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
    from sqlalchemy.pool import Pool

    opened: list[Any] = []

    def buffer(
        connection: Any, cursor: Any, statement: Any, parameters: Any, context: Any, many: Any
    ) -> None:
        # GX fetches after it has closed the connection, and DuckDB's results die with it.
        if connection.dialect.name == "duckdb" and cursor.description:
            # Type objects of DuckDB that outlive it are reported as leaks when Python exits.
            names = [(column[0], str(column[1])) + (None,) * 5 for column in cursor.description]
            context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
                cursor, names, deque(cursor.fetchall())
            )

    def remember(connection: Any, _record: Any) -> None:
        if type(connection).__module__.startswith("duckdb_engine"):
            opened.append(connection)

    for name in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(name).setLevel(logging.ERROR)
    event.listen(Engine, "after_cursor_execute", buffer)
    event.listen(Pool, "connect", remember)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            yield context
    finally:
        event.remove(Engine, "after_cursor_execute", buffer)
        event.remove(Pool, "connect", remember)
        # GX leaves connections open; DuckDB complains about each of them when Python exits.
        for connection in opened:
            connection.close()
