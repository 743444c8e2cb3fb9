"""What an example goes through: drift, adaptation, gate, promotion, scores, rollback."""

from datetime import date

import numpy as np

from driftune.adaptation.adapt import adapt
from driftune.domains import domain_key
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_domain
from driftune.drift.windows import draw_windows
from driftune.features.days import encode_day
from driftune.project import Project
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.registry.rollback import rollback
from driftune.training.rows import Rows, load_rows
from driftune.training.scoring import score
from tests.conftest import World
from tests.examples.conftest import SHIFT_DAY, SHIFTED
from tests.margins import assert_drift_by_far, assert_promoted_by_far

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
