"""Tasks of adaptations and looks, each around one call.

Adaptations are one call, ``driftune.adaptation.adapt``, whose steps run as tasks of their own:
claim, gate and conclude of each decision, one fine-tune of all of a group. Each is tried again by
itself where its fault may pass, so that a fault of MLflow or the ledger after a long fine-tuning
does not repeat that.
"""

import pickle
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import date
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from driftune.adaptation.adapt import adapt, adapt_together, look_again
from driftune.adaptation.groups import deal, most_rows, rows_of, trained_together
from driftune.adaptation.steps import FINE_TUNE, Steps
from driftune.config import Config
from driftune.errors import DriftuneError
from driftune.observe.context import about
from driftune.observe.logs import continued
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.waiting import looks_due
from tasks.policy import LONG, QUICK, SPREAD, passes
from tasks.trainer import DeployedTrainers

T = TypeVar("T")


class Tasks(Steps):
    """The steps of an adaptation, each a task with retries; ``workers``: threads that train."""

    deployed = DeployedTrainers()

    def __init__(self, workers: int = 1, domains: Mapping[str, str] | None = None) -> None:
        self.workers, self._domains = workers, domains or {}

    def about(self, decision_id: str) -> AbstractContextManager[None]:
        """See ``Steps.about``: log lines name the decision, and its domain where it is known."""
        domain = self._domains.get(decision_id)
        named = {} if domain is None else {"domain": domain}
        return about(decision=decision_id, **named)

    def may_pass(self, error: Exception) -> bool:
        """See ``Steps.may_pass``: as a task that fails by it is tried again."""
        return passes(error)

    def run(self, name: str, decision_id: str, call: Callable[[], T]) -> T:
        """Run a step as a task; ``call`` stays in this process."""
        run: Callable[..., Any] = run_long if name == FINE_TUNE else run_quick
        found: T = run(name, decision_id, call)
        return found


@task(task_run_name="{name} {decision_id}", **QUICK | SPREAD)
def run_quick(name: str, decision_id: str, call: Callable[[], T]) -> T:
    """Run a step of seconds."""
    return call()


@task(task_run_name="{name} {decision_id}", **LONG | SPREAD)
def run_long(name: str, decision_id: str, call: Callable[[], T]) -> T:
    """Run a step of minutes."""
    return call()


def adapt_decision(config: Config, decision_id: str) -> str:
    """Adapt for one decision; returns its state."""
    with about(decision=decision_id), Project(config) as project:
        return adapt(project, decision_id, Tasks())


@task(task_run_name="adapt {name}", cache_policy=NO_CACHE, persist_result=False)
def adapt_group(
    config: Config, name: str, domains: dict[str, str], threads: int, told: Mapping[str, str]
) -> dict[str, str | Exception]:
    """Adapt for decisions together; returns by id the state of each, or its error.

    ``name``: the decisions, as the run is called; ``domains``: theirs, by their ids; ``threads``:
    those that train; ``told``: what the run's log lines are about.
    """
    with continued(config, told), Project(config) as project:
        found = adapt_together(project, [*domains], Tasks(threads, domains))
    return {each: _portable(outcome) for each, outcome in found.items()}


def _portable(outcome: str | Exception) -> str | Exception:
    """An outcome that another process can read: errors of some packages cannot be unpickled."""
    try:
        pickle.loads(pickle.dumps(outcome))
    except Exception:
        return DriftuneError(f"{type(outcome).__name__}: {outcome}")
    return outcome


@task(task_run_name="deal {number} decisions", **QUICK)
def deal_decisions(
    config: Config, decision_ids: list[str], number: int, workers: int
) -> list[list[list[str]]]:
    """Deal decisions to so many workers; for each its groups, see ``groups.deal``.

    Those that cannot share a training are all handed out at once.
    """
    if not trained_together(config):
        return [[[each]] for each in decision_ids]
    with Ledger(config) as ledger:
        rows = rows_of(config, [ledger.decision(each) for each in decision_ids])
    return deal(rows, workers, most_rows(config, workers))


def require_no_errors(outcome: Any) -> None:
    """Raise the first error of a group's decisions, if there is one; all were worked on."""
    if isinstance(outcome, dict):
        for each in outcome.values():
            if isinstance(each, Exception):
                raise each


@task(task_run_name="waiting of {domain}", **QUICK)
def waiting_of(config: Config, domain: str) -> list[str]:
    """Ids of the decisions of a domain (its key) that wait for an adaptation, oldest first."""
    with Ledger(config) as ledger:
        return [row.id for row in ledger.waiting(date.max) if row.domain_key == domain]


@task(task_run_name="looks due {day}", **QUICK)
def challengers_due(config: Config, day: date) -> list[str]:
    """Ids of the decisions whose challenger is to be judged again by the rows of the day."""
    with Ledger(config) as ledger:
        return looks_due(ledger, day)


@task(task_run_name="gate {decision_id} again", **QUICK)
def judge_again(config: Config, decision_id: str, day: date) -> str:
    """Judge a waiting challenger by its rows up to the day; returns the decision's state."""
    with Project(config) as project:
        return look_again(project, decision_id, day)
