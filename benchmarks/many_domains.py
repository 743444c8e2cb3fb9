"""Days of very many domains: those of ten simulated ones, dealt to as many as are wanted."""

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.drift_world import prepare
from driftune.simulate.settings import SimulationConfig

SCENES, REGIONS = 2, 5
# Windows of few rows are measured all the same; a small champion predicts, too.
PARAMS = {
    "  epochs: 2\n": "  epochs: 1\n",
    "batch_size: 512": "batch_size: 8192",
    "hidden: [128, 64]": "hidden: [16, 8]",
    "embedding: 8\n": "embedding: 4\n",
    "min_rows: 500 ": "min_rows: 100 ",
    "min_clicks: 50\n": "min_clicks: 10\n",
}


def world(domains: int, rows: int, reference: int) -> SimulationConfig:
    """The settings of the ten domains that ``domains`` of ``rows`` rows a day are dealt from."""
    return SimulationConfig(
        seed=31,
        start=date(2026, 3, 2),
        days=reference + 1,
        rows_per_domain=domains * rows // (SCENES * REGIONS),
        users=max(4000, domains * rows // 20),
        items=2000,
        scenes=tuple(f"scene {number + 1}" for number in range(SCENES)),
        regions=tuple(f"region {number + 1}" for number in range(REGIONS)),
    )


def prepare_many(settings: SimulationConfig, home: Path, reference: int, domains: int) -> None:
    """Bring the days into a lake, their rows dealt to so many domains, and pre-train."""
    prepare(settings, home, reference, PARAMS, deal(domains))


def deal(domains: int) -> Callable[[Path], None]:
    """What deals a file's rows to so many domains, each scene's regions alike in size."""
    return partial(_deal, domains // SCENES)


def _deal(regions: int, path: Path) -> None:
    found = pq.read_table(path)
    place = found.schema.get_field_index("region")
    number = np.random.default_rng(7).permutation(found.num_rows) % regions
    names = pa.array([f"region {each + 1}" for each in range(regions)])
    dealt = pa.DictionaryArray.from_arrays(pa.array(number), names).cast(pa.string())
    pq.write_table(found.set_column(place, "region", dealt), path)
