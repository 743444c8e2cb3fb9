"""What only an erased user had is in no vocabulary and no profile: an address that is a feature."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.features.encoder import load_encoder
from driftune.intake.ingest import ingest
from driftune.registry.ledger import Ledger
from driftune.retention.erase import erase, would_erase
from driftune.training.pretrain import encoder_folder, pretrain
from tests.conftest import World, impressions

Make = Callable[..., World]


@pytest.mark.slow
@pytest.mark.ci
def test_what_only_an_erased_user_had_goes_with_the_rows(make_world: Make) -> None:
    table = {"uri": "users.csv", "key": "id", "matches": "user_id", "columns": ["mail", "n"],
             "as_of": "latest"}  # fmt: skip
    features: dict[str, Any] = {
        "categorical": {"mail": "users.mail"},
        "numerical": {"half": {"sql": "users.n / 2"}},
    }
    world = make_world(tables={"users": table}, features=features)
    mails = [f"mail{n}@example.org" for n in range(150)]
    ids = [f"u{n}" for n in range(150)]
    numbers = ["x-7" if n == 7 else str(n) for n in range(150)]
    frame = pd.DataFrame({"id": ids, "mail": mails, "n": numbers})
    frame.to_csv(world.root / "users.csv", index=False)
    config, folder = world.config, encoder_folder(world.config)
    for day in config.reference.days:
        world.write(day)
    with Ledger(config) as ledger:
        for day in config.reference.days:
            ingest(config, ledger, day)
        pretrain(config, ledger)
        before, known = load_encoder(folder), pd.read_parquet(folder / "vocabulary.parquet")
        assert mails[7] in set(known.value)
        profile = Workspace(config).quality_profile(config.reference.first)
        named = json.loads(profile.read_text())["columns"]["mail"]
        assert {mails[7], mails[8]} <= set(named["values"])
        told = would_erase(config, ledger, ["u7"])
        found = erase(config, ledger, ["u7"], "asked")
        assert found.counts == told.counts
        assert (found.vocabulary, found.elsewhere) == (2, [])
    after = pd.read_parquet(folder / "vocabulary.parquet")
    assert load_encoder(folder) == before
    assert set(known.value.dropna()) - set(after.value.dropna()) == {"u7", mails[7]}
    for path in config.home.rglob("*.json"):
        assert mails[7] not in path.read_text(), path
        assert "x-7" not in path.read_text(), path
    assert mails[8] in profile.read_text()


@pytest.mark.slow
@pytest.mark.ci
def test_a_reference_day_that_changes_after_pretraining_asks_for_it(
    trained_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    config = trained_world.config
    day = config.reference.first
    with Ledger(config) as ledger:
        ingest(config, ledger, day)
        assert "run driftune pretrain" not in caplog.text
        trained_world.write(day, impressions(day, seed=5))
        ingest(config, ledger, day)
    assert f"{day}: is a reference day, and its content changed after" in caplog.text
