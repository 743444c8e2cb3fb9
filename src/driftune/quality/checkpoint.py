"""The Great Expectations checkpoint over a staged day, on DuckDB."""

import logging
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from driftune.config import Config
from driftune.config.quality import DOMAIN_RULES
from driftune.errors import ConfigError, SourceError
from driftune.quality.docs import rendered
from driftune.quality.judge import Judged, judge
from driftune.quality.rules import UNREADABLE, unreadable_columns
from driftune.quality.staged import Staged
from driftune.quality.summary import SummaryRule, summarise

CRITICAL = "critical"
WARNING = "warning"
# The rules of quality.extra: extra_0, extra_1, …
EXTRA = "extra_"
# Tables that expectations are put on, and what they hold.
TABLES = {
    "staged": "rows",
    "quality": "day, domains and columns",
    "raw": "as delivered",
}


@dataclass(frozen=True)
class Check:
    """One expectation's outcome.

    ``about``: the domains or columns that broke it, worst first; ``detail``: by what.
    """

    rule: str
    severity: str
    sentence: str
    success: bool
    unexpected: int | None
    observed: float | None
    about: tuple[str, ...] = ()
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the check as JSON-safe values."""
        return {**vars(self), "about": list(self.about)}


@dataclass(frozen=True)
class Checkpoint:
    """All outcomes of a day, the validation as Great Expectations words it, and the judgement."""

    checks: tuple[Check, ...]
    docs: list[dict[str, Any]]
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
    with _context() as context:
        source = context.data_sources.add_or_update_sql(
            "staging",
            connection_string=f"duckdb:///{staged.database}",
            kwargs=_limited(config, staged),
        )
        runs = {
            table: _run(context, source, staged, table, expectations)
            for table, expectations in _expectations(config, staged, summary).items()
            if expectations
        }
        docs = [part for table, run in runs.items() for part in _docs(run, table)]
    found = {rule.name: rule for rule in summary}
    checks = [
        _check(staged, outcome, found.get(outcome.expectation_config.meta["rule"]))
        for run in runs.values()
        for outcome in run.results
    ]
    checks = [
        replace(check, about=unreadable_columns(config, staged))
        if check.rule == UNREADABLE and not check.success
        else check
        for check in checks
    ]
    return Checkpoint(tuple(checks), docs, judged)


def _limited(config: Config, staged: Staged) -> dict[str, Any]:
    """DuckDB stays out of core: what does not fit goes to a folder beside the staged day."""
    spilled = str(staged.database.with_suffix(".spill"))
    settings = {"memory_limit": config.resources.memory, "temp_directory": spilled}
    return {"connect_args": {"config": settings}}


def _run(context: Any, source: Any, staged: Staged, table: str, expectations: list[Any]) -> Any:
    """Validate one table."""
    from great_expectations import ExpectationSuite, ValidationDefinition

    batch = source.add_table_asset(
        f"{staged.day} {table}", table_name=table
    ).add_batch_definition_whole_table("day")
    suite = context.suites.add_or_update(
        ExpectationSuite(f"driftune.{table}", expectations=expectations)
    )
    definition = context.validation_definitions.add_or_update(
        ValidationDefinition(name=f"driftune.{staged.day}.{table}", data=batch, suite=suite)
    )
    return definition.run(result_format="SUMMARY")


def _docs(run: Any, table: str) -> list[dict[str, Any]]:
    """The rendered validation; overviews of tables other than the rows' name them."""
    found = rendered(run)
    if table != "staged":
        for section in found:
            if section["title"] == "Overview":
                section["title"] = f"Overview: {TABLES[table]}"
    return found


def _check(staged: Staged, outcome: Any, rule: SummaryRule | None) -> Check:
    expected = outcome.expectation_config
    failure = _failure(outcome.exception_info or {})
    if failure and not expected.meta["rule"].startswith(EXTRA):
        raise SourceError(
            f"{staged.day}: rule '{expected.meta['rule']}' could not be computed ({failure})"
        )
    detail = rule.detail if rule and not outcome.success else ""
    measured = outcome.result or {}
    value = measured.get("observed_value")
    return Check(
        rule=expected.meta["rule"],
        severity=getattr(expected.severity, "value", str(expected.severity)),
        sentence=expected.meta["sentence"],
        success=bool(outcome.success),
        unexpected=measured.get("unexpected_count"),
        observed=float(value) if isinstance(value, int | float) else None,
        about=rule.about if rule else tuple(expected.meta.get("about", ())),
        detail=f"could not be computed: {failure}" if failure else detail,
    )


def _failure(info: dict[str, Any]) -> str:
    """Why an expectation could not be computed, in one line; empty when it was.

    Great Expectations tells it once, or of each metric that the expectation needs.
    """
    for part in [info, *(each for each in info.values() if isinstance(each, dict))]:
        if part.get("raised_exception"):
            text = str(part.get("exception_message") or "").strip()
            return text.splitlines()[0] if text else "no reason is given"
    return ""


def _expectations(
    config: Config, staged: Staged, summary: list[SummaryRule]
) -> dict[str, list[Any]]:
    """The expectations by the table that they are put on."""
    import great_expectations.expectations as catalogue

    def stated(
        kind: str, rule: str, sentence: str, severity: str, about: Sequence[str], **given: Any
    ) -> Any:
        return getattr(catalogue, kind)(
            **given,
            severity=severity,
            meta={"rule": rule, "sentence": sentence, "about": list(about)},
            notes=sentence,
        )

    found: dict[str, list[Any]] = {name: [] for name in TABLES}
    for rule in summary:
        found["quality"].append(
            stated(
                "ExpectColumnMaxToBeBetween",
                rule.name,
                rule.sentence,
                config.quality.severity_of(rule.name),
                (),
                column=rule.name,
                **rule.bounds,
            )
        )
    for row in staged.rules:
        found["staged"].append(
            stated(
                row.expectation,
                row.name,
                row.sentence,
                row.severity,
                (row.column,),
                **row.arguments,
            )
        )
    for number, extra in enumerate(config.quality.extra):
        name = next(each for each in dir(catalogue) if each.lower() == extra.expectation.lower())
        about = [extra.arguments["column"]] if "column" in extra.arguments else []
        try:
            found["raw"].append(
                stated(
                    name, f"{EXTRA}{number}", extra.sentence, extra.severity, about,
                    **extra.arguments,
                )
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{config.source_file}: quality.extra.{number}: {name} does not take these "
                f"arguments ({' '.join(str(error).split())})"
            ) from None
    return found


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
