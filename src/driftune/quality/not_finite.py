"""NaN and infinities in the columns of ``quality.extra``: broken values, whatever is expected.

A comparison does not find them. To DuckDB NaN is larger than every number, and where it prunes rows
by the statistics of a Parquet file, which leave NaN out, there is none at all (``isnan`` included;
``isfinite`` is no comparison). So an expectation sees the rows without them, and they are added to
what it found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from driftune.config import Config
from driftune.config.quality import Extra
from driftune.lake.duck import Connection, connect, identifier, one_row
from driftune.lake.loading import delivered_types
from driftune.lake.types import FLOATS
from driftune.quality.staged import Staged

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation

    Validate = Callable[[str, "Expectation"], ExpectationValidationResult]

# Expectations about a column or the table, not about values.
_OF_NO_VALUES = (
    "expectcolumntoexist",
    "expectcolumntypetobe",
    "expectcolumnvaluestobeoftype",
    "expectcolumnvaluestobeintypelist",
)
# What the merged result says beside GX's own figures.
ROWS = "not_finite"


@dataclass(frozen=True)
class NotFinite:
    """Rows with NaN or infinities in ``column`` or others that an expectation is about.

    ``finite`` is the view of the other rows. ``rows`` is None where a condition of Great
    Expectations says which ones are meant: it is asked over the table ``others``.
    """

    column: str
    finite: str
    others: str
    rows: int | None


def set_apart(config: Config, staged: Staged) -> dict[int, NotFinite]:
    """Set rows with NaN or infinities apart, by the number of ``quality.extra`` that they break."""
    if not config.quality.extra:
        return {}
    with connect(staged.database, reach=staged.reach, memory=config.resources.memory) as con:
        floats = {name for name, kind in delivered_types(con).items() if kind in FLOATS}
        about = [
            [name for name in _columns(extra) if name in floats] for extra in config.quality.extra
        ]
        looked = sorted({name for names in about for name in names})
        if not looked:
            return {}
        flags = ", ".join(f"coalesce(bool_or({_broken(name)}), false)" for name in looked)
        found = dict(zip(looked, one_row(con, f"SELECT {flags} FROM raw"), strict=True))
        return {
            number: _set_apart(con, number, names, config.quality.extra[number])
            for number, names in enumerate([name for name in each if found[name]] for each in about)
            if names
        }


def _set_apart(con: Connection, number: int, columns: list[str], extra: Extra) -> NotFinite:
    finite, others = f"extra_{number}_finite", f"extra_{number}_others"
    broken = " OR ".join(f"coalesce({_broken(name)}, false)" for name in columns)
    con.execute(f"CREATE OR REPLACE VIEW {finite} AS SELECT * FROM raw WHERE NOT ({broken})")
    if extra.arguments.get("row_condition") is None:
        rows = int(one_row(con, f"SELECT count(*) FROM raw WHERE {broken}")[0])
        return NotFinite(columns[0], finite, others, rows)
    # A table's own statistics know NaN.
    con.execute(f"CREATE OR REPLACE TABLE {others} AS SELECT * FROM raw WHERE {broken}")
    return NotFinite(columns[0], finite, others, None)


def validate_without(
    apart: NotFinite, expectation: "Expectation", validate: "Validate"
) -> "ExpectationValidationResult":
    """The expectation over the finite rows, with the others counted as broken.

    ``validate`` runs an expectation on a table of the staged day.
    """
    outcome, rows = validate(apart.finite, expectation), apart.rows
    if rows is None:
        counted = validate(apart.others, _counting(expectation, apart.column)).result or {}
        rows = int(counted.get("element_count") or 0)
    if rows and not _failed(outcome):
        _add(outcome, rows)
    return outcome


def _columns(extra: Extra) -> list[str]:
    """The columns whose values an expectation is about."""
    kind = extra.expectation.lower()
    if kind in _OF_NO_VALUES or kind.startswith("expecttable"):
        return []
    given = [extra.arguments.get(name) for name in ("column", "column_A", "column_B")]
    listed = extra.arguments.get("column_list")
    given += listed if isinstance(listed, list) else []
    return [name for name in given if isinstance(name, str)]


def _broken(column: str) -> str:
    return f"NOT isfinite({identifier(column)})"


def _counting(expectation: "Expectation", column: str) -> "Expectation":
    """An expectation that counts the rows that the condition of another one means."""
    from great_expectations.expectations import ExpectColumnValuesToBeNull

    given: dict[str, Any] = {
        name: getattr(expectation, name, None) for name in ("row_condition", "condition_parser")
    }
    return ExpectColumnValuesToBeNull(column=column, **given)


def _failed(outcome: "ExpectationValidationResult") -> bool:
    info = outcome.exception_info or {}
    return any(
        part.get("raised_exception") for part in (info, *info.values()) if isinstance(part, dict)
    )


def _add(outcome: "ExpectationValidationResult", rows: int) -> None:
    """Add broken rows to what an expectation found without them."""
    result = outcome.result = {**(outcome.result or {}), ROWS: rows}
    # Where it was about no row at all, its counts are null.
    if "unexpected_count" in result:
        result["unexpected_count"] = rows + (result["unexpected_count"] or 0)
    if "element_count" not in result:
        outcome.success = False
        return
    all_rows = result["element_count"] = rows + (result["element_count"] or 0)
    broken, missing = result["unexpected_count"], result.get("missing_count") or 0
    shares = {
        "unexpected_percent": broken / (all_rows - missing),
        "unexpected_percent_nonmissing": broken / (all_rows - missing),
        "unexpected_percent_total": broken / all_rows,
        "missing_percent": missing / all_rows,
    }
    result |= {name: 100 * share for name, share in shares.items() if name in result}
    expected = outcome.expectation_config
    mostly = expected.kwargs.get("mostly", 1.0) if expected is not None else 1.0
    outcome.success = (all_rows - missing - broken) / (all_rows - missing) >= float(mostly)
