"""The summary of a day: one row with a figure for each rule, that expectations are put on.

A full scan per expectation would cost as much as the day is large; this costs nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from driftune.config import Config
from driftune.config.quality import DOMAIN_REFUSED
from driftune.lake.duck import connect, one_row
from driftune.quality.finding import Finding
from driftune.quality.judge import Judged
from driftune.quality.staged import Staged

SHOWN = 5
# Fewer rows may all be clicks by chance.
ALONE_ROWS = 100


@dataclass(frozen=True)
class SummaryRule:
    """An expectation on the summary: the rule's column, its figure or the largest one that
    domains or columns have in what is allowed, in its bounds.

    ``about`` are the domains or columns that break it, worst first, ``detail`` says by what.
    """

    name: str
    sentence: str
    bounds: dict[str, float]
    about: tuple[str, ...] = ()
    detail: str = ""


SENTENCES = {
    "stale_day": "The day is no copy of a day before.",
    "hours_missing": "No hour is empty that usually has impressions.",
    "last_impression": "The impressions reach to the end of the day.",
    "written_early": "The files were written after the day was over.",
    "files": "As many files as expected hold rows.",
    "domain_rejected": "No domain has too many rejected rows.",
    "domain_gone": "No domain's volume is gone.",
    "domain_click_rate_absurd": "No domain's click rate is absurd.",
    "domain_volume": "Each domain has about as many rows as usual.",
    "domain_click_rate": "Each domain has about the click rate that it usually has.",
    "domain_conversion_rate": "Each domain has about its usual conversions per click.",
    "column_range": "Numbers lie in the ranges of quality.ranges.",
    "column_nulls": "No column has more nulls than usual.",
    "column_new_values": "No column has many values that it never had.",
    "column_outliers": "No number is often far outside its usual values.",
    "column_format": "Ids look as they always have.",
    "column_frequent": "No single id has far more of the rows than it usually has.",
    "column_distinct": "Ids repeat about as often as usual.",
    "column_known": "As many users and items as usual are known to the encoder.",
    "column_per_user": "A user has the same features in all its rows.",
    "column_item_changed": "Items have the values that they had on the days before.",
    "column_user_changed": "Users have the values that they had on the days before.",
    "column_drift": "The mix of each column's values is about the usual one.",
}


def summarise(config: Config, staged: Staged, judged: Judged) -> list[SummaryRule]:
    """Write the table ``quality`` into the staging database and return the rules on it."""
    found = judged.findings
    sentences = SENTENCES | _of_roles(config)
    alone = _clicks_alone(config, staged)
    rules = [*_limits(config, alone), *_rules(found.day, sentences, whole=True)]
    # A released domain is looked at no more.
    domains = [finding for finding in found.domains if finding.about not in judged.released]
    rules += _rules(domains, sentences)
    rules += _rules(found.columns, sentences)
    largest: dict[str, float] = {}
    for finding in [*found.day, *domains, *found.columns]:
        largest[finding.rule] = max(finding.excess, largest.get(finding.rule, -math.inf))
    figures = "".join(f", ?::DOUBLE AS {rule}" for rule in largest)
    judged_alone = f"NOT contains(reasons, '{DOMAIN_REFUSED}')"
    with connect(staged.database, reach=staged.reach, memory=config.resources.memory) as con:
        con.execute(
            f"""
            CREATE OR REPLACE TABLE quality AS
            SELECT coalesce(sum(n), 0)::DOUBLE AS enough_rows,
                   coalesce(sum(n) FILTER (rejected AND {judged_alone}), 0)
                       / greatest(sum(n) FILTER ({judged_alone}), 1) AS rejected_share,
                   {judged.refused_share}::DOUBLE AS domains_refused,
                   count(DISTINCT hour)::DOUBLE AS hours_covered,
                   sum(clicks) FILTER ({judged_alone})
                       / nullif(sum(labelled) FILTER ({judged_alone}), 0) AS click_rate,
                   {alone}::DOUBLE AS clicks_alone {figures}
            FROM tally
            """,
            [*largest.values()],
        )
    return [rule for rule in rules if config.quality.severity_of(rule.name) != "off"]


def _clicks_alone(config: Config, staged: Staged) -> int:
    """The rows of a day of clicks alone that has no negatives drawn; 0 of any other day."""
    if config.negatives is not None:
        return 0
    with connect(staged.database, reach=staged.reach, memory=config.resources.memory) as con:
        labelled, clicked = one_row(
            con, "SELECT coalesce(sum(labelled), 0), coalesce(sum(clicked), 0) FROM tally"
        )
    return int(clicked) if clicked == labelled and clicked >= ALONE_ROWS else 0


def _limits(config: Config, alone: int) -> Iterator[SummaryRule]:
    quality = config.quality
    low, high = quality.click_rate
    # Rows without a click are drawn: all that were delivered may be clicks.
    drawn = config.negatives is not None
    limits: tuple[tuple[str, str, dict[str, float]], ...] = (
        (
            "enough_rows",
            f"The day has at least {quality.min_rows} rows.",
            {"min_value": quality.min_rows},
        ),
        (
            "rejected_share",
            f"At most {quality.max_rejected_share:.0%} of the rows are rejected.",
            {"max_value": quality.max_rejected_share},
        ),
        (
            "domains_refused",
            f"At most {quality.domain.max_rows:.0%} of the rows lie in domains to be refused.",
            {"max_value": quality.domain.max_rows},
        ),
        (
            "hours_covered",
            f"At least {quality.min_hours} hours have impressions; fewer is a partial day.",
            {"min_value": quality.min_hours},
        ),
        (
            "click_rate",
            f"The click rate is at least {low:.1%}."
            if drawn
            else f"The click rate lies between {low:.1%} and {high:.0%}.",
            {"min_value": low} if drawn else {"min_value": low, "max_value": high},
        ),
    )
    if alone:
        detail = (
            f"all {alone:,} rows are clicks; deliver what was shown, too, or have rows without a "
            "click drawn: negatives: {per_positive: 4, from: domain_day} in params.yaml"
        )
        limits = limits[:-1]
        sentence = "The day holds rows without a click."
        yield SummaryRule("clicks_alone", sentence, {"max_value": 0}, detail=detail)
    for name, sentence, bounds in limits:
        yield SummaryRule(name, sentence, bounds)


def _of_roles(config: Config) -> dict[str, str]:
    """Sentences that speak of roles, without those that the log lacks."""
    given = [name for name in ("category", "price") if getattr(config.columns, name) is not None]
    what = ", ".join([*given[:-1], "features"]) + f" and {given[-1]}" if given else "features"
    prices = "prices and numbers" if "price" in given else "numbers"
    same = "user, item and time" if config.columns.request is None else "user, item, time and list"
    return {
        "repeated": f"No more impressions than usual repeat {same} of another.",
        "column_per_item": f"An item has the same {what} in all its rows.",
        "column_item_level": f"Item by item, {prices} are about as high as the days before.",
    }


def _rules(
    findings: Sequence[Finding], sentences: Mapping[str, str], *, whole: bool = False
) -> Iterator[SummaryRule]:
    """One rule for each that was judged at all; ``whole``: they are about the day."""
    for name in dict.fromkeys(finding.rule for finding in findings):
        own = [finding for finding in findings if finding.rule == name and finding.broken]
        worst = sorted(own, key=lambda finding: -finding.excess)
        texts = [
            finding.detail if whole else f"{finding.about}: {finding.detail}"
            for finding in worst[:SHOWN]
        ]
        left = len(worst) - SHOWN
        yield SummaryRule(
            name,
            sentences[name],
            {"max_value": 1.0},
            () if whole else tuple(finding.about for finding in worst),
            # Names of domains and values are data of any shape.
            " ".join("; ".join([*texts, *([f"and {left} more"] if left > 0 else [])]).split()),
        )
