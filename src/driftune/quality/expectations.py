"""The rules of a day as expectations of Great Expectations, by the table that they are put on."""

from collections.abc import Mapping, Sequence
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
    import great_expectations.expectations as catalogue

    def stated(
        kind: str,
        rule: str,
        sentence: str,
        severity: str,
        about: Sequence[str],
        arguments: Mapping[str, Argument],
    ) -> "Expectation":
        made: Expectation = getattr(catalogue, kind)(
            **arguments,
            severity=severity,
            meta={"rule": rule, "sentence": sentence, "about": list(about)},
            notes=sentence,
        )
        return made

    found: dict[str, list[Expectation]] = {name: [] for name in TABLES}
    for rule in summary:
        found["quality"].append(
            stated(
                "ExpectColumnMaxToBeBetween",
                rule.name,
                rule.sentence,
                config.quality.severity_of(rule.name),
                (),
                {"column": rule.name, **rule.bounds},
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
                row.arguments,
            )
        )
    for number, extra in enumerate(config.quality.extra):
        name = next(kind for kind in dir(catalogue) if kind.lower() == extra.expectation.lower())
        about = [str(extra.arguments["column"])] if "column" in extra.arguments else []
        try:
            found["raw"].append(
                stated(
                    name, f"{EXTRA}{number}", extra.sentence, extra.severity, about,
                    extra.arguments,
                )
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{config.source_file}: quality.extra.{number}: {name} does not take these "
                f"arguments ({' '.join(str(error).split())})"
            ) from None
    return found
