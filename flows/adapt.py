"""One adaptation: claim the decision, fine-tune a challenger, gate it, promote or reject."""

import logging

from prefect import flow

from driftune.config import Config
from driftune.errors import DriftuneError, RegistryError
from driftune.params import load_config
from tasks import adaptation, reporting

log = logging.getLogger("driftune")


@flow(name="adapt", flow_run_name="adapt {decision_id}")
def adapt(decision_id: str, config: str = "params.yaml") -> str:
    """Adapt for one decision and return its state; a decision is adapted exactly once."""
    settings = load_config(config)
    try:
        return adapt_once(settings, decision_id)
    finally:
        # What was done stays done when its report fails, and an error is not hidden by another.
        reporting.write_reports(settings, return_state=True)


def adapt_once(settings: Config, decision_id: str) -> str:
    """Claim, train, judge, conclude; what fails gives the claim back."""
    owner = adaptation.claim(settings, decision_id)
    if owner is None:
        state = adaptation.state_of(settings, decision_id)
        log.info("%s: nothing to do, its state is '%s'", decision_id, state)
        return state
    try:
        training = adaptation.train_challenger(settings, decision_id, owner)
        gate = adaptation.judge_challenger(settings, decision_id)
        return adaptation.conclude_decision(settings, decision_id, owner, training, gate)
    except RegistryError as error:
        # The champion moved, or MLflow was away: the next run judges again.
        adaptation.give_back(settings, decision_id, owner, str(error), final=False)
        raise
    except DriftuneError as error:
        log.warning("%s: %s", decision_id, error)
        return adaptation.give_back(settings, decision_id, owner, str(error), final=True)
    except Exception as error:
        adaptation.give_back(settings, decision_id, owner, repr(error), final=False)
        raise
