"""The checkpoint without Great Expectations, for tests of what comes after a day's verdict.

Great Expectations takes 0.7 s a day whatever its rows. What it would say of the day's rules is
counted here by their own SQL conditions; tests/quality holds the two against each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from driftune.config import Config
from driftune.lake.duck import connect, one_row
from driftune.quality import checkpoint
from driftune.quality.checkpoint import Check, Checkpoint
from driftune.quality.judge import judge
from driftune.quality.rules import UNREADABLE, unreadable_columns
from driftune.quality.staged import Staged
from driftune.quality.summary import summarise

# Read before any test replaces it.
VALIDATE = checkpoint.validate


@contextmanager
def judged_plainly() -> Iterator[None]:
    """Days that are taken in within the context are judged without Great Expectations."""
    with mock.patch("driftune.intake.ingest.validate", validate_plainly):
        yield


def validate_plainly(config: Config, staged: Staged) -> Checkpoint:
    """Judge a staged day as ``checkpoint.validate`` does, without its rendered Data Docs.

    A day with expectations of the user's own, or with rules whose rows were let in, goes to Great
    Expectations all the same.
    """
    if config.quality.extra or any(rule.broken == "false" for rule in staged.rules):
        return VALIDATE(config, staged)
    judged = judge(config, staged)
    summary = summarise(config, staged, judged)
    with connect(staged.database, reach=staged.reach) as con:
        # In one query: each would read and parse the day again.
        broken = ", ".join(f"count(*) FILTER (WHERE {rule.broken})" for rule in staged.rules)
        counted = one_row(con, f"SELECT {broken} FROM staged")
        figures = ", ".join(f"max({rule.name})" for rule in summary)
        days = []
        for rule, observed in zip(
            summary, one_row(con, f"SELECT {figures} FROM quality"), strict=True
        ):
            low = rule.bounds.get("min_value", -float("inf"))
            high = rule.bounds.get("max_value", float("inf"))
            success = observed is None or low <= observed <= high
            days.append(
                Check(
                    rule.name,
                    config.quality.severity_of(rule.name),
                    rule.sentence,
                    success,
                    None,
                    observed,
                    rule.about,
                    "" if success else rule.detail,
                )
            )
    rows = [
        Check(
            rule.name,
            rule.severity,
            rule.sentence,
            not unexpected,
            unexpected,
            None,
            unreadable_columns(config, staged)
            if rule.name == UNREADABLE and unexpected
            else (rule.column,),
        )
        for rule, unexpected in zip(staged.rules, counted, strict=True)
    ]
    return Checkpoint((*rows, *days), [], judged)
