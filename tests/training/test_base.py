"""A base that predicts badly says so: on the terminal, by the doctor and on the front page."""

import csv
import logging

import numpy as np
import pytest

from driftune.config.workspace import Workspace
from driftune.deployment.doctor import examine
from driftune.errors import BackboneError
from driftune.features.encoder import load_encoder
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from driftune.training.base import judge_base
from driftune.training.base_record import base_problems
from driftune.training.pretrain import encoder_folder, reference_rows
from tests.conftest import World


def judged(world: World, predicted: float, lost: str | None = None) -> list[str]:
    """What is wrong with a base that predicts the same for every held-out row (of all domains but
    the one that is ``lost``)."""
    encoder = load_encoder(encoder_folder(world.config))
    train, held_out = reference_rows(world.config)
    if lost:
        held_out = held_out.take(held_out.domain_key != lost)
    p_click = np.full(len(held_out), predicted)
    problems = judge_base(world.config, encoder, train, held_out, p_click)
    assert problems == base_problems(world.config)
    return [f"{each['domain']}: {each['told']}" for each in problems]


@pytest.mark.slow
@pytest.mark.ci
def test_a_base_that_is_out_of_calibration_is_told_everywhere(
    trained_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "driftune"):
        problems = judged(trained_world, 0.9)
    assert len(problems) == 4
    assert problems[0].startswith("home · north: on ")
    assert "it predicts clicks worse than item and position rates alone" in problems[0]
    assert "clicks for each one (0.8 to 1.25 is sound)" in problems[0]
    assert "the base on home · north" in caplog.text
    assert "and 1 domains more" in caplog.text
    (line,) = [each["what"] for each in examine(trained_world.config) if "backbone" in each["what"]]
    assert "WARNING on home · north" in line
    with Ledger(trained_world.config) as ledger:
        page = build_site(trained_world.config, ledger).read_text(encoding="utf-8")
    assert "<b>Base</b>" in page
    assert problems[0].removeprefix("home · north: ").partition(";")[0] in page
    table = list(csv.DictReader((Workspace(trained_world.config).model / "by_domain.csv").open()))
    assert {row["worse_than"] for row in table} <= {"the domain's rate", "item and position rates"}
    assert all(float(row["calibration"]) > 1.25 for row in table)


def test_a_domain_without_a_held_out_row_is_named(trained_world: World) -> None:
    _, held_out = reference_rows(trained_world.config)
    rate = float(held_out.click.mean())
    lost = sorted(set(held_out.domain_key))[-1]
    told = judged(trained_world, rate, lost)
    assert [
        line for line in told if "none of the held-out rows is of it" in line and "south" in line
    ]


def test_a_damaged_record_is_one_line(trained_world: World) -> None:
    judged(trained_world, 0.9)
    path = Workspace(trained_world.config).model / "base.json"
    path.write_text(path.read_text().replace("home", "hume", 1))
    with pytest.raises(BackboneError, match=r"base\.json: damaged; run driftune pretrain"):
        base_problems(trained_world.config)
