"""The files of old days are gone: what the lake holds goes on, what asks for them says so."""

from collections.abc import Callable

import pytest

from driftune.adaptation.split import split_rows
from driftune.domains import domain_key
from driftune.errors import SourceError
from driftune.intake.ingest import ensure_reference, ingest
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import load_model, pretrain
from tests.conftest import DOMAINS, Ended, World, impressions
from tests.crowning import bring


@pytest.fixture
def gone(trained_world: World) -> World:
    """A trained world with a day after its reference days, and no file of any of them."""
    bring(trained_world, trained_world.day(3), impressions(trained_world.day(3), 2400))
    for file in (trained_world.root / "logs").glob("*.parquet"):
        file.unlink()
    return trained_world


def test_days_of_the_lake_train_and_adapt_without_their_files(gone: World) -> None:
    key = domain_key(DOMAINS[0])
    with Ledger(gone.config) as ledger:
        assert ensure_reference(gone.config, ledger) == gone.config.reference.days
        assert pretrain(gone.config, ledger, only="evaluate")["rows"]
    assert len(split_rows(gone.config, load_model(gone.config)[0], key, gone.day(3)).train)


def test_to_bring_one_in_again_is_refused_in_a_line_and_the_lake_stays(
    gone: World, driftune: Callable[..., Ended]
) -> None:
    before = Lake.of(gone.config).contents
    with Ledger(gone.config) as ledger:
        with pytest.raises(SourceError, match=f"{gone.day(3)}: no file at ") as error:
            ingest(gone.config, ledger, gone.day(3))
        assert len(ledger.days()) == len(before)
    assert "\n" not in str(error.value)
    assert Lake.of(gone.config).contents == before
    doctor = driftune("doctor", folder=gone.root)
    assert f"FAIL  {gone.config.reference.last}: no file at " in doctor.out
    assert doctor.code == 1
