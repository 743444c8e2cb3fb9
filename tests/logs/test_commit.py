"""The file of a committed day."""

import pandas as pd

from driftune.logs.ingest import ingest
from driftune.logs.lake import Lake
from driftune.registry.ledger import Ledger
from tests.conftest import World


def test_the_day_is_one_file_in_the_order_of_delivery(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    delivered = pd.read_parquet(world.write(day))
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    (file,) = Lake.of(world.config).files[day]
    held = pd.read_parquet(file, partitioning=None)
    for name in ("user_id", "item_id", "request_id"):
        assert held[name].tolist() == delivered[name].tolist()
