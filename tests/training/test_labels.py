"""Labels of the reference days: nothing to learn stops pre-training, what is lacking is told."""

from collections.abc import Callable

import numpy as np
import pytest

from driftune.errors import BackboneError
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import has_backbone
from driftune.training.pretrain import pretrain as run_steps
from tests.conftest import REFERENCE_DAYS, Ended, World, impressions

ONLY_CLICKS = "hold no impression without a click, nothing to learn"
NO_CLICK = "hold no click among "


def labelled(world: World, **labels: object) -> World:
    """Reference days whose labels are all the same."""
    for number in range(REFERENCE_DAYS):
        day = world.day(number)
        world.write(day, impressions(day).assign(**labels))
    return world


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"click": np.int8(1), "ordered": np.int8(0)}, ONLY_CLICKS),
        ({"click": np.int8(0), "ordered": np.int8(0)}, NO_CLICK),
    ],
    ids=["only clicks", "no click"],
)
@pytest.mark.slow
@pytest.mark.ci
def test_one_label_alone_is_nothing_to_learn(
    make_world: Callable[..., World],
    driftune: Callable[..., Ended],
    labels: dict[str, object],
    said: str,
) -> None:
    severity = {"domain_click_rate_absurd": "warning", "clicks_alone": "warning"}
    quality = {"severity": severity}
    world = labelled(make_world(quality=quality), **labels)
    done = driftune("pretrain", "-c", str(world.params))
    assert done.code == 1
    *_, line = done.err.strip().splitlines()
    assert said in line and line.startswith("error: ")
    assert "Traceback" not in done.err
    assert not has_backbone(world.config)


@pytest.mark.parametrize("metric", ["ctr_auc", "ctcvr_auc"])
@pytest.mark.slow
@pytest.mark.ci
def test_without_conversions_clicks_are_learnt_and_a_line_says_so(
    make_world: Callable[..., World], caplog: pytest.LogCaptureFixture, metric: str
) -> None:
    world = labelled(make_world(gate={"metric": metric}), ordered=np.int8(0))
    with Ledger(world.config) as ledger:
        figures = run_steps(world.config, ledger)
    assert isinstance(figures["ctr_auc"], float) and figures["ctcvr_auc"] is None
    (line,) = [row.getMessage() for row in caplog.records if "no conversion" in row.getMessage()]
    assert "clicks are learnt from" in line
    assert ("promotes nothing without conversions" in line) == (metric == "ctcvr_auc")


@pytest.mark.slow
@pytest.mark.ci
def test_held_out_rows_of_one_label_are_told(
    make_world: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(reference={"holdout": 0.02}).with_reference()
    day = world.day(REFERENCE_DAYS - 1)
    frame = impressions(day)
    newest = frame.groupby(["scene", "region"]).tail(30).index
    frame.loc[newest, ["click", "ordered"]] = np.int8(0)
    world.write(day, frame)
    with Ledger(world.config) as ledger:
        assert run_steps(world.config, ledger)["ctr_auc"] is None
    assert "held-out reference rows hold no click: ctr_auc is not measured" in caplog.text


@pytest.mark.slow
@pytest.mark.ci
def test_an_error_says_which_days(make_world: Callable[..., World]) -> None:
    severity = {"domain_click_rate_absurd": "warning", "clicks_alone": "warning"}
    world = labelled(make_world(quality={"severity": severity}), click=np.int8(1))
    with (
        Ledger(world.config) as ledger,
        pytest.raises(BackboneError, match=f"{world.day(0)} to {world.day(REFERENCE_DAYS - 1)}"),
    ):
        run_steps(world.config, ledger)
