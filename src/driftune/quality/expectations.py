"""The rules of a day as expectations of Great Expectations, by the table that they are put on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from driftune.config import Config
from driftune.config.quality import Argument
from driftune.errors import ConfigError
from driftune.quality.staged import Staged
from driftune.quality.summary import SummaryRule

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

# The rules of quality.extra: extra_0, extra_1, …
EXTRA = "extra_"
# Tables that expectations are put on, and what they hold.
TABLES = {
    "staged": "rows",
    "quality": "day, domains and columns",
    "raw": "as delivered",
}


def expectations(
    config: Config, staged: Staged, summary: list[SummaryRule]
) -> dict[str, list["Expectation"]]:
    """The expectations by the table that they are put on.

    Raises:
        ConfigError: when an expectation of ``quality.extra`` has wrong arguments.
    """
    on_summary = [
        _stated(
            "ExpectColumnMaxToBeBetween",
            {"column": rule.name, **rule.bounds},
            (rule.name, config.quality.severity_of(rule.name), rule.sentence),
        )
        for rule in summary
    ]
    on_rows = [
        _stated(row.expectation, row.arguments, (row.name, row.severity, row.sentence), row.column)
        for row in staged.rules
    ]
    extra = [_extra(config, number) for number in range(len(config.quality.extra))]
    return {"staged": on_rows, "quality": on_summary, "raw": extra}


def _extra(config: Config, number: int) -> "Expectation":
    """The expectation of ``quality.extra`` of that number."""
    import great_expectations.expectations as catalogue

    extra = config.quality.extra[number]
    arguments = extra.arguments
    kind = next(name for name in dir(catalogue) if name.lower() == extra.expectation.lower())
    about = (str(arguments["column"]),) if "column" in arguments else ()
    try:
        return _stated(
            kind, arguments, (f"{EXTRA}{number}", extra.severity, extra.sentence), *about
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{config.source_file}: quality.extra.{number}: {kind} does not take these "
            f"arguments ({' '.join(str(error).split())})"
        ) from None


def _stated(
    kind: str, arguments: Mapping[str, Argument], rule: tuple[str, str, str], *about: str
) -> "Expectation":
    """An expectation of a class, by the rule's name, severity and sentence."""
    import great_expectations.expectations as catalogue

    name, severity, sentence = rule
    made: Expectation = getattr(catalogue, kind)(
        **arguments,
        severity=severity,
        meta={"rule": name, "sentence": sentence, "about": list(about)},
        notes=sentence,
    )
    return made
