"""What an example goes through: drift, adaptation, gate, promotion, scores, rollback."""

import sys
from datetime import date

import numpy as np
import pyarrow as pa
import torch

from driftune.adaptation.adapt import adapt
from driftune.domains import domain_key
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_domain
from driftune.drift.windows import draw_windows
from driftune.features.days import encode_day
from driftune.models.recommender import EncodedRows
from driftune.project import Project
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.registry.rollback import rollback
from driftune.training.rows import Rows, load_rows
from driftune.training.scoring import score
from tests.conftest import World
from tests.examples.conftest import REFERENCE, SHIFT_DAY, Tried, imported
from tests.margins import assert_drift_by_far, assert_promoted_by_far
from tests.shifts import SHIFTED

KEY = domain_key(SHIFTED)


def assert_lives(world: World) -> None:
    """The shifted domain alone is found, adapted to, served by its adapter, and taken back."""
    config = world.config
    found = states(world, SHIFT_DAY)
    assert {domain for domain, state in found.items() if state != "stable"} == {SHIFTED}
    with Ledger(config) as ledger:
        assert_drift_by_far(ledger.decisions(), config)
        (decision,) = (row.id for row in ledger.decisions() if row.state == "pending")
    with Project(config, mirrored=False) as project:
        assert adapt(project, decision) == "promoted"
    with Ledger(config) as ledger:
        row = ledger.decision(decision)
        assert row is not None and row.gate is not None
        assert_promoted_by_far(row.gate, config)
    rows, served, base = scores(world)
    own = rows.domain_key == KEY
    assert own.any() and not own.all()
    assert np.array_equal(served[~own], base[~own])
    click = rows.click.numpy()[own]
    assert log_loss(served[own], click) < log_loss(base[own], click)
    with Ledger(config) as ledger:
        assert rollback(config, ledger, KEY, None, "complaints").version == 0
    _, served, base = scores(world)
    assert np.array_equal(served, base)


def states(world: World, day: date) -> dict[str, str]:
    """What is decided of a day that the lake holds, by domain."""
    with Ledger(world.config) as ledger:
        windows = draw_windows(world.config, ledger, day)
        measured = [measure_domain(world.config, window) for window in windows]
        decide_day(world.config, ledger, windows, measured)
        return {row.domain: row.state for row in ledger.decisions() if row.day == str(day)}


def scores(world: World) -> tuple[Rows, np.ndarray, np.ndarray]:
    """The shifted day's rows, with the pCTR that serves them and that of the frozen model."""
    with Project(world.config, mirrored=False) as project:
        encoder, model, backbone = project.served
        rows = load_rows(encoder, [encode_day(world.config, encoder, SHIFT_DAY)])
        keys = [*project.ledger.champions()]
        _, bank = champions_for(world.config, project.ledger, backbone, keys)
        return rows, score(model, rows, bank)[0], score(model, rows)[0]


def log_loss(p: np.ndarray, click: np.ndarray) -> float:
    """Mean log loss, in nats."""
    return float(-np.mean(click * np.log(p) + (1 - click) * np.log1p(-p)))


@torch.inference_mode()
def assert_scores_like(tried: Tried) -> None:
    """Rows give numbers whatever they lack, and the same alone as among others."""
    model, table = tried.model, tried.table
    whole = clicks(tried, table)
    assert whole.shape == (len(table),) and whole.isfinite().all()
    assert len(whole.unique()) > 100
    torch.testing.assert_close(clicks(tried, table.slice(7, 5)), whole[7:12])
    assert all(len(each) == len(table) for each in model.inputs(logged(table)))
    columns = [
        pa.array([[None]] * len(table), kind)
        if pa.types.is_list(kind)
        else pa.nulls(len(table), kind)
        for kind in table.schema.types
    ]
    assert clicks(tried, pa.table(columns, table.schema.names)).isfinite().all()
    assert clicks(tried, table.slice(0, 0)).shape == (0,)


def logged(table: pa.Table) -> EncodedRows:
    """Rows as the examples train on them."""
    rows: EncodedRows = sys.modules["outside"].Logged(table)
    return rows


def clicks(tried: Tried, table: pa.Table) -> torch.Tensor:
    """The logits of pCTR of rows."""
    return tried.model.click_logit(*tried.model.inputs(logged(table)))


def assert_scores_what_it_was_trained_on(world: World, name: str) -> None:
    """A reference day gives the model what the logs gave it outside, pasts included."""
    paths = [world.root / "logs" / f"impressions-{day}.parquet" for day in REFERENCE]
    module = imported(world.root, name)
    table = module.read_logs(paths, 20)
    with Project(world.config, mirrored=False) as project:
        encoder, model, _ = project.served
        days = [encode_day(world.config, encoder, day) for day in REFERENCE]
        rows = load_rows(encoder, days)
        order = np.lexsort((rows.table["item"].to_numpy(), rows.time))
        given = model.inputs(rows.take(order))
    for one, other in zip(given, model.inputs(logged(table)), strict=True):
        assert torch.equal(one, other)
