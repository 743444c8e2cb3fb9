"""A trial knows who was erased from the workspace whose lake it reads."""

from pathlib import Path

import pytest

from driftune.intake.erasures import check_erasures
from driftune.policies.rules import Policy
from driftune.policies.trial import Trial
from driftune.registry.ledger import Ledger
from driftune.retention.erase import erase
from tests.conftest import World


@pytest.mark.slow
@pytest.mark.ci
def test_a_trial_has_the_list_of_erased_users(ingested_world: World, tmp_path: Path) -> None:
    config = ingested_world.config
    with Ledger(config) as ledger:
        erase(config, ledger, ["u7"], "asked")
        trial = Trial.begin(config, ledger, Policy("never", "-", lambda *_: None), tmp_path / "t")
        assert check_erasures(trial.config, trial.ledger) == check_erasures(config, ledger)
    trial.ledger.close()
