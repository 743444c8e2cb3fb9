"""Helpers around one adaptation: a day in the lake, a decision, a challenger, a champion."""

from datetime import date

import pandas as pd
import torch

from driftune.adaptation.finetune import finetune
from driftune.adaptation.split import Split, split_rows
from driftune.adaptation.workbench import Workbench
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.intake.ingest import ingest
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel, save_adapter
from driftune.project import Project
from driftune.registry.champions import adapter_folder
from driftune.registry.ledger import Ledger
from driftune.registry.records import Scores
from driftune.registry.rows import Switch
from driftune.training.pretrain import load_model
from tests.conftest import World, impressions

DOMAIN = "home · north"
KEY = domain_key(DOMAIN)


def bring(world: World, day: date, frame: pd.DataFrame | None = None) -> date:
    """Write a day (of 2,400 clean rows by default) and bring it into the lake; returns it."""
    world.write(day, impressions(day, 2400) if frame is None else frame)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    return day


def pending(
    world: World, day: date, number: int = 1, domain: str = DOMAIN, state: str = "pending"
) -> str:
    """A drift decision that waits for its adaptation, or is in another state; returns its id."""
    _, _, backbone = load_model(world.config)
    with Ledger(world.config) as ledger:
        row, _ = ledger.decide(
            id=f"{day}.{'home-north' if domain == DOMAIN else domain_key(domain)}.r{number}",
            domain=domain,
            domain_key=domain_key(domain),
            day=str(day),
            revision=number,
            backbone=backbone,
            state=state,
            score=2.0,
            scores=Scores(),
            sentence="Moved.",
            data_version="v",
            champion_version=ledger.champion_version(domain_key(domain)),
        )
    return row.id


def split_of(world: World, day: date) -> Split:
    """The domain's rows up to the day, split for adaptation."""
    return split_rows(world.config, load_model(world.config)[0], KEY, day)


def bench(config: Config, ledger: Ledger, decision: str) -> Workbench:
    """What an adaptation for the decision works with."""
    return Workbench(Project(config, ledger, mirrored=False), decision)


def train(world: World, decision: str) -> bytes:
    """Fine-tune the decision's challenger; returns its tensors' bytes."""
    with Ledger(world.config) as ledger:
        finetune(bench(world.config, ledger, decision))
    return (Workspace(world.config).challenger(decision) / "adapter.safetensors").read_bytes()


def crown(
    world: World,
    adapter: Adapter,
    reference: list[date],
    version: int = 1,
    domain: str = DOMAIN,
    decision: str = "by the test",
) -> str:
    """Make the adapter the domain's champion, in the place of the version before it, without a
    gate; returns its SHA-256.
    """
    _, _, backbone = load_model(world.config)
    key = domain_key(domain)
    made = save_adapter(world.root / "made", adapter, {"backbone": backbone})
    sha256 = pd.read_json(made / "card.json", typ="series")["sha256"]
    target = adapter_folder(world.config, key, version, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    made.rename(target)
    with Ledger(world.config) as ledger, ledger.write() as connection:
        ledger.add_adapter(
            connection,
            domain_key=key,
            version=version,
            domain=domain,
            sha256=sha256,
            backbone=backbone,
            decision_id=decision,
            reference_days=[day.isoformat() for day in reference],
        )
        ledger.switch(
            connection,
            Switch(
                key=key,
                domain=domain,
                action="promote",
                expected=version - 1,
                version=version,
                decision_id=None,
                who="the test",
                reason="planted",
            ),
        )
    return sha256


def random_adapter(world: World, combine: str = "replace", scale: float = 1) -> Adapter:
    """An adapter that changes what the base says; another ``scale`` is another adapter."""
    _, model, _ = load_model(world.config)
    width = model.representation.width
    with torch.random.fork_rng():
        torch.manual_seed(4)
        made = Adapter({"representation": IAKKernel(width, IAKConfig(4, 8, combine))}).eval()
    for tensor in made.state_dict().values():
        if tensor.is_floating_point():
            tensor.mul_(scale)
    return made
