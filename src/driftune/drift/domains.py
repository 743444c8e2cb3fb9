"""Domains: which ones a day is decided for, and why one of them has no row in the lake."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.drift.problem import Problem
from driftune.lake.duck import connect
from driftune.lake.table import Lake
from driftune.quality.record import read_quality, refused_domains
from driftune.registry.ledger import Ledger
from driftune.registry.records import State
from driftune.registry.status import domain_names


@dataclass(frozen=True)
class DayDomains:
    """The domains of a day: names by key, problems of those without a row in the lake, and the
    hours of the day with impressions.
    """

    names: Mapping[str, str]
    problems: Mapping[str, Problem]
    hours: int


def day_domains(config: Config, ledger: Ledger, view: Lake, day: date) -> DayDomains:
    """The domains that are known on a day: with rows in the lake, kept out by data quality, or of
    earlier days (pre-training's, decisions', champions') and absent.
    """
    rows = view.relation([day])
    names = "SELECT DISTINCT domain_key, domain FROM"
    with connect(reach=[view.place]) as con:
        there = dict(con.execute(f"{names} {rows} ORDER BY 1").fetchall())
        ((hours,),) = con.execute(f"SELECT count(DISTINCT hour) FROM {rows}").fetchall()
        days = [each for each in config.reference.days if each in view.contents]
        before = dict(con.execute(f"{names} {view.relation(days)}").fetchall()) if days else {}
    problems: dict[str, Problem] = {}
    quality = read_quality(Workspace(config), day)
    rejected = {} if quality is None else {row["key"]: row["rejected"] for row in quality.domains}
    for key, (name, why) in refused_domains(Workspace(config), day).items():
        before[key] = name
        problems[key] = Problem(State.REFUSED, f"Refused by data quality: {why}.")
        if rejected.get(key) == 0:
            problems[key] = Problem(State.ABSENT, f"No impression on the day: {why}.")
    all_names = {**before, **domain_names(ledger), **there}
    for key in all_names.keys() - there.keys() - problems.keys():
        problems[key] = Problem(State.ABSENT, "No impression on the day.")
    return DayDomains(dict(sorted(all_names.items())), problems, hours)
