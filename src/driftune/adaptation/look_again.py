"""Waiting: one look at a challenger that waits, from claim to verdict."""

import logging
from datetime import date

from driftune.adaptation.challenge import challenge_again
from driftune.adaptation.finetune import challenger_folder
from driftune.adaptation.promotion import conclude, supersede
from driftune.config import Config
from driftune.errors import OvertakenError
from driftune.registry.ledger import Ledger
from driftune.registry.waiting import claim_look

log = logging.getLogger("driftune")


def look_again(
    config: Config, ledger: Ledger, decision_id: str, day: date, *, mirrored: bool = True
) -> str:
    """Judge a waiting challenger by its rows up to ``day``; returns the decision's state.

    One run alone takes a look, and a day is looked at once; what fails gives the claim back.
    ``mirrored``: whether MLflow is told of a promotion.

    Raises:
        RegistryError: when the challenger's files are damaged or the champion moved meanwhile.
        LakeError: when a day's files are missing or damaged.
    """
    owner = claim_look(ledger, decision_id, day)
    if owner is None:
        return ledger.decision(decision_id).state
    try:
        gate = challenge_again(config, ledger, decision_id, day)
        training = ledger.decision(decision_id).training
        folder = challenger_folder(config, decision_id)
        state = conclude(
            config, ledger, decision_id, owner, folder, training, gate, mirrored=mirrored
        )
    except OvertakenError as error:
        state = supersede(ledger, decision_id, owner, str(error))
    except Exception as error:
        ledger.release(decision_id, owner, str(error) or repr(error), final=False)
        raise
    log.info("%s: judged again by the rows up to %s: %s", decision_id, day, state)
    return state
