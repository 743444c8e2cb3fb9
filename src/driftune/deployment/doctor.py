"""Examine an installation and a workspace: what is there, what fits, what needs repair."""

from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.deployment.roles import SeenRoles, see_roles
from driftune.deployment.whole import lost, whole_files
from driftune.errors import DriftuneError, LakeError
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import answers
from driftune.registry.reconcile import aliases
from driftune.registry.recover import recover_all
from driftune.registry.rows import Finding

_PACKAGES = ("prefect", "torch", "dvc", "great-expectations", "duckdb", "evidently", "mlflow")


def examine(
    config: Config,
    *,
    mend: bool = False,
    deep: bool = False,
    seen: SeenRoles | None = None,
    serving: str | Path | None = None,
) -> list[Finding]:
    """Run every check; each finding has ``what`` (a line) and ``ok``.

    ``seen``: what ``see_roles`` has found already.
    ``deep``: the checksums of all files are verified, too; with ``mend`` damaged ones that can be
    made anew are dropped. ``serving``: a bundle, whose scores are compared with those of training.
    """
    findings = [_packages(), *(seen or see_roles(config)).findings]
    checks: list[Callable[[Config], str]] = [_lake, _backbone]
    findings += [_finding(check, config) for check in checks]
    with Ledger(config) as ledger:
        erased = _finding(lambda config: _erasures(config, ledger), config)
        findings += [] if erased["ok"] or erased in findings else [erased]
        findings += lost(config, ledger)
        findings += whole_files(config, mend=mend) if deep else []
        if mend:
            findings += recover_all(config, ledger)
        findings += _champions(config, ledger)
        findings += _newest_day(config, ledger)
        findings += [] if serving is None else [_serving(config, ledger, serving)]
        mirrored = aliases(config, ledger, mend=mend)
        findings += mirrored
        findings += [] if mirrored else [_finding(answers, config)]
    return findings


def _finding(check: Callable[[Config], str], config: Config) -> Finding:
    try:
        return {"what": check(config), "ok": True}
    except DriftuneError as error:
        return {"what": str(error), "ok": False}


def _erasures(config: Config, ledger: Ledger) -> str:
    from driftune.intake.erasures import check_erasures
    from driftune.registry.erasures import kept_list

    erased = check_erasures(config, ledger)
    kept_list(ledger)
    return f"erasures: {len(erased.users)} users are kept out, all done"


def _serving(config: Config, ledger: Ledger, bundle: str | Path) -> Finding:
    from driftune.serving.check import check_bundle

    with Project(config, ledger) as project:
        return _finding(lambda _: check_bundle(project, bundle), config)


def _packages() -> Finding:
    found = []
    missing = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    what = "packages: " + ", ".join(found)
    return {
        "what": what + (f"; missing {', '.join(missing)}" if missing else ""),
        "ok": not missing,
    }


def _lake(config: Config) -> str:
    from driftune.lake.table import Lake

    view = Lake.of(config)
    days = view.days
    for day in days:
        if problem := view.damage(day, deep=False):
            raise LakeError(f"{problem}; bring the day in again: driftune run --day {day}")
    return f"lake: {len(days)} days" + (f", {days[0]} to {days[-1]}" if days else "")


def _backbone(config: Config) -> str:
    from driftune.training.base_record import base_problems
    from driftune.training.pretrain import load_item_groups, load_model

    encoder, _, mark = load_model(config)
    groups = load_item_groups(config, encoder, mark)
    own = config.recommender
    whose = "the built-in recommender" if own is None else f"{own.factory} with {own.weights}"
    base = f"backbone: {mark[:12]}, {whose}"
    base += f", {len(groups.names)} groups of items" if groups else ""
    problems = base_problems(config)
    if problems:
        first, others = problems[0], len(problems) - 1
        where = Workspace(config).model / "by_domain.csv"
        more = f"; {others} domains more in {where}" if others else ""
        return f"{base}; WARNING on {first['domain']}: {first['told']}{more}"
    return base


def _champions(config: Config, ledger: Ledger) -> list[Finding]:
    from driftune.registry.champions import champions_for
    from driftune.registry.stale_champions import stale_champions
    from driftune.training.pretrain import load_model

    pointers = ledger.champions()
    try:
        _, _, mark = load_model(config)
    except DriftuneError:
        return []
    champions, _ = champions_for(config, ledger, mark, list(pointers))
    stale = stale_champions(ledger)
    return [
        {
            "what": f"champion of {pointers[key].domain}: version {champion.version}"
            + (f" does not serve: {champion.problem}" if champion.problem else "")
            + (f"; stale: {stale[key].told}" if key in stale else ""),
            "ok": champion.problem is None,
        }
        for key, champion in champions.items()
    ]


def _newest_day(config: Config, ledger: Ledger) -> list[Finding]:
    """What was decided for the domains on the newest day in the lake, a line each."""
    from driftune.registry.champions import newest_day
    from driftune.registry.decision_queries import decisions_of_day
    from driftune.registry.records.states import UNMEASURED, State, word

    day = newest_day(ledger)
    if day is None or day <= config.reference.last.isoformat():
        return []
    newest = {row.domain_key: row for row in decisions_of_day(ledger, date.fromisoformat(day))}
    if not newest:
        what = f"drift of {day}: in the lake, but not decided; run driftune run --day {day}"
        return [{"what": what, "ok": False}]
    return [
        {
            "what": f"drift of {row.domain} on {day}: {word(row.state)}"
            + (f" ({row.sentence})" if row.state in UNMEASURED else ""),
            "ok": row.state not in (State.ERROR, State.FAILED),
        }
        for row in newest.values()
    ]
