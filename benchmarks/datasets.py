"""The logs of the adapter benchmark: KuaiRand-Pure, and a simulation with a planted shift.

Both take the project's own road: import or simulation, validation, lake, point-in-time features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import torch

from benchmarks.common import ROOT, say
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.features.days import encode_day, fit_encoder
from driftune.features.encoder import Encoder
from driftune.importers.kuairand import import_kuairand
from driftune.intake.ingest import ingest
from driftune.registry.ledger import Ledger
from driftune.simulate.settings import Event, SimulationConfig
from driftune.simulate.write import simulate
from driftune.training.rows import Rows, load_rows

# Days of KuaiRand-Pure from 25 April on: where pre-training, adaptation and test end.
FIRST_SPLIT = "first"
SPLITS = {FIRST_SPLIT: (7, 11, 14), "second": (4, 8, 11)}


@dataclass(frozen=True)
class Encoded:
    """The days as one encoder sees them; the adaptation days one by one."""

    encoder: Encoder
    reference: Rows
    adaptation: list[Rows]
    test: Rows


@dataclass(frozen=True)
class Dataset:
    """A log and its protocol.

    ``split``: which days pre-train, adapt and test, by a name. ``served``: encoded as the frozen
    backbone does, by the reference days; ``renewed``: by all days before the test days, for a
    model that is trained anew on them.
    """

    name: str
    split: str
    config: Config
    domains: tuple[str, ...]
    served: Encoded
    renewed: Encoded


def kuairand(source: Path, workspace: Path, split: str = FIRST_SPLIT) -> Dataset:
    """KuaiRand-Pure, tabs 1, 0, 4, 6, 2; ``split`` is one of ``SPLITS``.

    ``first``: 25 April-1 May pre-train, 2-5 May adapt, 6-8 May test. ``second``: 25-28 April
    pre-train, 29 April-2 May adapt, 3-5 May test.
    """
    if not (workspace / "params.yaml").exists():
        import_kuairand(source, workspace)
    config = load_config(workspace / "params.yaml")
    *cuts, end = SPLITS[split]
    days = [date(2022, 4, 25) + timedelta(n) for n in range(end)]
    domains = [f"tab {tab}" for tab in (1, 0, 4, 6, 2)]
    return _prepare(("KuaiRand-Pure", split), config, days, cuts, domains)


def simulation(workspace: Path, test_days: int) -> Dataset:
    """Six domains; interests shift strongly in four of them on the first adaptation day."""
    start = date(2026, 3, 2)
    shift = start + timedelta(10)
    tastes = [
        ("home · north", ("coffee", "breakfast"), ("noodles", "curry")),
        ("home · harbour", ("sushi", "desserts"), ("burgers", "coffee")),
        ("search · harbour", ("sushi", "salads"), ("curry", "breakfast")),
        ("search · old town", ("salads", "burgers"), ("coffee", "noodles")),
    ]
    settings = SimulationConfig(
        seed=11,
        start=start,
        days=14 + test_days,
        rows_per_domain=3000,
        users=12000,
        events=tuple(
            Event(domain=name, day=shift, size=1.5, favour=favour, against=against)
            for name, favour, against in tastes
        ),
    )
    workspace.mkdir(parents=True, exist_ok=True)
    params = workspace / "params.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("workspace: workspace\n", "workspace: .\n")
    text = text.replace("workspace/logs/", "logs/").replace("data/impressions", "logs/impressions")
    params.write_text(text, encoding="utf-8")
    simulate(settings, workspace / "logs")
    name = "simulation", FIRST_SPLIT
    return _prepare(name, load_config(params), settings.calendar, (10, 14), settings.domains)


def _prepare(
    name: tuple[str, str],
    config: Config,
    days: Sequence[date],
    cuts: Sequence[int],
    domains: Sequence[str],
) -> Dataset:
    """Bring the days into the lake and encode them; ``cuts`` end reference and adaptation.

    ``name``: of the log, and of its split.
    """
    from driftune.domains import domain_key

    with Ledger(config) as ledger:
        for day in days:
            ingest(config, ledger, day)
    encoded = {}
    for kind, fitted in (("served", days[: cuts[0]]), ("renewed", days[: cuts[1]])):
        say(f"{', '.join(name)}: features, encoder of {len(fitted)} days")
        encoder = fit_encoder(config, list(fitted), config.home / "encoders" / kind)
        files = [encode_day(config, encoder, day) for day in days]
        encoded[kind] = Encoded(
            encoder,
            load_rows(encoder, files[: cuts[0]]),
            [load_rows(encoder, [file]) for file in files[cuts[0] : cuts[1]]],
            load_rows(encoder, files[cuts[1] :]),
        )
    keys = tuple(domain_key(domain) for domain in domains)
    return Dataset(*name, config, keys, encoded["served"], encoded["renewed"])


def fresh_users(encoded: Encoded, rows: Rows) -> torch.Tensor:
    """Ids (rows, 1) of the users whom the reference days do not know, −1 for the others."""
    user = encoded.encoder.fields.index("user")
    unseen = (rows.ids[:, user] >= 1) & (rows.ids[:, user] <= encoded.encoder.buckets)
    ids = torch.from_numpy(rows.user.astype("int64"))
    return torch.where(unseen, ids, torch.full_like(ids, -1)).unsqueeze(1)
