"""Tasks of one adaptation: claim, fine-tune, challenge, conclude."""

from datetime import date
from typing import Any

from prefect import task

from driftune.adaptation.challenge import challenge
from driftune.adaptation.finetune import challenger_folder, finetune
from driftune.adaptation.look_again import look_again
from driftune.adaptation.promotion import conclude, supersede
from driftune.config import Config
from driftune.progress import report
from driftune.registry.ledger import Ledger
from driftune.registry.waiting import looks_due
from tasks.policy import LONG, QUICK, SPREAD


@task(task_run_name="claim {decision_id}", **QUICK | SPREAD)
def claim(config: Config, decision_id: str) -> str | None:
    """Claim the decision; None when it is taken or ended."""
    with Ledger(config) as ledger:
        return ledger.claim(decision_id)


@task(task_run_name="fine-tune {decision_id}", **LONG | SPREAD)
def train_challenger(config: Config, decision_id: str, owner: str) -> dict[str, Any]:
    """Train the challenger and write its files; every epoch renews the claim."""
    with Ledger(config) as ledger:

        def progress(label: str, done: int, total: int) -> None:
            ledger.renew(decision_id, owner)
            report(label, done, total)

        return finetune(config, ledger, decision_id, progress)


@task(task_run_name="gate {decision_id}", **QUICK | SPREAD)
def judge_challenger(config: Config, decision_id: str) -> dict[str, Any]:
    """Judge champion and challenger on the same held-out rows."""
    with Ledger(config) as ledger:
        return challenge(config, ledger, decision_id)


@task(task_run_name="conclude {decision_id}", **QUICK | SPREAD)
def conclude_decision(
    config: Config, decision_id: str, owner: str, training: dict[str, Any], gate: dict[str, Any]
) -> str:
    """Promote or reject; returns the decision's state."""
    with Ledger(config) as ledger:
        folder = challenger_folder(config, decision_id)
        return conclude(config, ledger, decision_id, owner, folder, training, gate)


@task(task_run_name="give back {decision_id}", **QUICK | SPREAD)
def give_back(config: Config, decision_id: str, owner: str, note: str, final: bool) -> str:
    """Give a claimed decision back, or end it as failed; returns its state."""
    with Ledger(config) as ledger:
        return ledger.release(decision_id, owner, note, final=final)


@task(task_run_name="supersede {decision_id}", **QUICK | SPREAD)
def give_way(config: Config, decision_id: str, owner: str, note: str) -> str:
    """End a claimed decision that was overtaken; returns its state."""
    with Ledger(config) as ledger:
        return supersede(ledger, decision_id, owner, note)


@task(task_run_name="state of {decision_id}", **QUICK | SPREAD)
def state_of(config: Config, decision_id: str) -> str:
    """The decision's state in the ledger."""
    with Ledger(config) as ledger:
        return ledger.decision(decision_id).state


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
    with Ledger(config) as ledger:
        return look_again(config, ledger, decision_id, day)
