"""Comparing policies: what each wants, what it costs and gains, and that it changes nothing."""

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driftune.cli import app
from driftune.config import Config
from driftune.config.trainer import Trainer
from driftune.config.workspace import Workspace
from driftune.errors import ConfigError, LakeError, LedgerError, OvertakenError, RegistryError
from driftune.intake.ingest import ingest
from driftune.policies.compare import Comparison, Followed, compare_policies
from driftune.policies.rules import Policy, every_domain, policies
from driftune.policies.trial import Outcomes, Trial
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions
from driftune.simulate.events import changes
from driftune.simulate.settings import Event, SimulationConfig
from tests.conftest import DOMAINS, World, impressions
from tests.margins import assert_promoted_by_far

SHIFTED = "home · north"
DAYS = 3


def shifted(trained: World) -> World:
    """Three days after the reference, on which one domain wants coffee and nothing else."""
    for number in range(3, 3 + DAYS):
        day = trained.day(number)
        frame = impressions(day, 2400)
        there = (frame["scene"] == "home") & (frame["region"] == "north")
        frame.loc[there, "click"] = (frame["category"] == "coffee").astype("int8")[there]
        frame.loc[there, "ordered"] = 0
        trained.write(day, frame)
    # Adapters that learn what one such day says, by a wide margin, whatever the processor.
    learns = {
        "epochs": 30, "patience": 30, "batch_size": 32, "learning_rate": 0.002,
        "train_days": 1, "beta": [0.0],
    }  # fmt: skip
    return World(trained.root, adapter=learns)


@pytest.fixture
def shifted_world(trained_world: World) -> World:
    """A world of shifted days that no policy was followed over."""
    return shifted(trained_world)


@pytest.fixture(scope="module")
def compared(
    _trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[World, dict[str, Followed]]:
    """Shifted days over which every policy was followed, and what came of each."""
    folder = tmp_path_factory.mktemp("compared") / "world"
    shutil.copytree(_trained, folder)
    world = shifted(World(folder))
    return world, {each.policy: each for each in compare(world).policies}


def compare(world: World, wanted: list[Policy] | None = None) -> Comparison:
    first, last = world.day(3), world.day(2 + DAYS)
    known = {(SHIFTED, first)}
    with Ledger(world.config) as ledger:
        chosen = wanted or policies(world.config, first, [0.01], known, [1])
        return compare_policies(world.config, ledger, chosen, first, last)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.trains
def test_policies_spend_and_gain_as_they_should(
    compared: tuple[World, dict[str, Followed]],
) -> None:
    _, found = compared
    assert [*found] == [
        "never", "refresh", "every day", "every week", "performance-only", "drift",
        "drift, alpha 0.01", "drift, at most 1 days old", "oracle",
    ]  # fmt: skip
    assert found["never"].finetunes == 0
    assert found["never"].gain.value == 0
    # The last day is judged and no longer acted on.
    assert found["every day"].finetunes == len(DOMAINS) * (DAYS - 1)
    # No gate: all that is trained serves.
    assert found["refresh"].finetunes == found["refresh"].promoted == len(DOMAINS) * (DAYS - 1)
    assert found["every week"].finetunes == len(DOMAINS)
    assert 1 <= found["drift"].finetunes <= 2
    assert found["drift, at most 1 days old"].finetunes > found["drift"].finetunes
    assert found["oracle"].finetunes == 2
    for name in ("refresh", "every day", "drift", "oracle"):
        assert found[name].gain.value > 0.03, name
        assert found[name].promoted >= 1, name
        assert found[name].gain.low <= found[name].gain.value <= found[name].gain.high
    assert found["refresh"].finetune_share == 1
    assert found["drift"].finetune_share <= 0.5


@pytest.mark.slow
@pytest.mark.ci
def test_the_workspace_decides_and_promotes_nothing(
    compared: tuple[World, dict[str, Followed]],
) -> None:
    world, _ = compared
    config = world.config
    with Ledger(config) as ledger:
        assert ledger.decisions() == []
        assert ledger.champions() == {}
        assert {row.day for row in ledger.days()} >= {str(world.day(3))}
    assert not Workspace(config).adapters.exists()
    assert not [*(config.home / "staging").glob("policies-*")]


@pytest.mark.slow
@pytest.mark.ci
def test_the_same_days_give_the_same_figures_whatever_they_are_compared_with(
    compared: tuple[World, dict[str, Followed]], shifted_world: World
) -> None:
    _, found = compared
    wanted = policies(shifted_world.config, shifted_world.day(3))
    chosen = [each for each in wanted if each.name in ("never", "refresh", "drift")]
    for again in compare(shifted_world, chosen).policies:
        first = found[again.policy]
        assert (again.gain, again.finetunes) == (first.gain, first.finetunes)


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_that_cannot_be_had_is_left_out(
    shifted_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    shifted_world.write(shifted_world.day(4), impressions(shifted_world.day(4), 5))
    chosen = policies(shifted_world.config, shifted_world.day(3))
    few = [each for each in chosen if each.name in ("never", "refresh")]
    # Adapters of few epochs: what they gain is not what is asked here.
    found = compare(World(shifted_world.root), few)
    assert found.domain_days == 2 * len(DOMAINS)
    assert f"{shifted_world.day(4)} is left out" in caplog.text


def test_one_day_is_nothing_to_compare(trained_world: World) -> None:
    day = trained_world.day(3)
    trained_world.write(day)
    with (
        Ledger(trained_world.config) as ledger,
        pytest.raises(LedgerError, match="two days to compare"),
    ):
        compare_policies(
            trained_world.config, ledger, policies(trained_world.config, day), day, day
        )


def test_a_deployment_that_trains_is_refused(trained_world: World) -> None:
    world, day = trained_world, trained_world.day(3)
    trainer = Trainer(deployment="train/own")
    adapter = world.config.adapter.model_copy(update={"trainer": trainer})
    config = world.config.model_copy(update={"adapter": adapter})
    with Ledger(config) as ledger, pytest.raises(ConfigError, match="'train/own': only flows"):
        compare_policies(config, ledger, policies(config, day), day, day)


def test_known_changes_are_those_of_what_users_like() -> None:
    start = date(2026, 3, 2)
    base = SimulationConfig(start=start, days=12)
    kinds = {
        "abrupt": ({"against": ["salads"]}, [3]),
        "gradual": ({"against": ["salads"], "over": 3}, [3, 4, 5]),
        "surge": ({"length": 2, "items": 3}, [3, 5]),
        "recurring": ({"against": ["salads"], "every": 5, "length": 2}, [3, 5, 8, 10]),
        "traffic_only": ({"against": ["salads"]}, []),
    }
    for kind, (own, days) in kinds.items():
        event = Event.model_validate(
            {"domain": base.domains[0], "day": start + timedelta(3), "kind": kind,
             "favour": ["coffee"], **own}
        )  # fmt: skip
        found = changes(base.model_copy(update={"events": (event,)}))
        assert found == {(base.domains[0], start + timedelta(day)) for day in days}, kind


@pytest.mark.slow
@pytest.mark.ci
def test_the_command_prints_figures_and_writes_the_page(shifted_world: World) -> None:
    # Adapters of few epochs, here too.
    World(shifted_world.root)
    params = str(shifted_world.params)
    span = ["--from", str(shifted_world.day(3)), "--to", str(shifted_world.day(4))]
    asked = ["replay", *span, "--compare-policies", "--json", "--config", params]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert [row["policy"] for row in figures["policies"]][-1] == "drift"
    reports = Workspace(shifted_world.config).reports
    page = (reports / "policies.html").read_text(encoding="utf-8")
    for row in figures["policies"]:
        assert row["told"] in page
    assert 'href="policies.html"' in (reports / "index.html").read_text(encoding="utf-8")
    with Ledger(shifted_world.config) as ledger:
        assert (ledger.decisions(), ledger.champions()) == ([], {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--alpha", "0.01"], "belong to --compare-policies"),
        (["--compare-policies", "--alpha", "2"], "must lie between 0 and 1"),
        (["--compare-policies", "--truth", "none.json"], "none.json"),
    ],
)
def test_options_that_make_no_sense(trained_world: World, options: list[str], said: str) -> None:
    span = ["--from", str(trained_world.day(3)), "--to", str(trained_world.day(5))]
    asked = ["replay", *span, *options, "--config", str(trained_world.params)]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code != 0
    assert said in " ".join(f"{result.output} {result.exception}".split())


def test_alpha_is_all_that_a_variant_changes(trained_world: World) -> None:
    def plain(config: Config) -> dict[str, object]:
        return config.model_dump()

    *_, drift, variant = policies(trained_world.config, trained_world.day(3), [0.02])
    assert plain(drift.settings(trained_world.config)) == plain(trained_world.config)
    changed = plain(variant.settings(trained_world.config))
    assert changed["drift"]["alpha"] == 0.02  # type: ignore[index]
    changed["drift"] = trained_world.config.drift.model_dump()
    assert changed == plain(trained_world.config)


def trial_of_one_domain(world: World, config: Config, folder: Path) -> Trial:
    """A trial, over days in the lake, that fine-tunes one domain for the first of them."""
    first = world.day(3)

    def once(config: Config, ledger: Ledger, day: date) -> None:
        if day == first:
            # Trained on days before the shift, too: on one day alone an adapter may learn to read
            # counters in a way that is wrong on the next.
            every_domain(config, ledger, day, {SHIFTED: first - timedelta(days=2)})

    with Ledger(config) as ledger:
        for number in range(3, 3 + DAYS):
            ingest(config, ledger, world.day(number))
        return Trial.begin(config, ledger, Policy("once", "one domain, once", once), folder)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(
    ("error", "states", "finetunes"),
    [
        (RegistryError("the lake changed"), ["pending", "promoted"], 1),
        (LakeError("too few rows"), ["failed", "failed"], 0),
        (OvertakenError("older"), ["superseded", "superseded"], 0),
    ],
)
def test_faults_end_in_a_trial_as_in_production(
    shifted_world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    states: list[str],
    finetunes: int,
) -> None:
    trial = trial_of_one_domain(shifted_world, shifted_world.config, tmp_path)
    outcomes, found = Outcomes(tmp_path / "outcomes"), []

    def fail(*_: object) -> None:
        raise error

    with trial.ledger as own:
        for number in (3, 4):
            with monkeypatch.context() as failing:
                if number == 3:
                    failing.setattr("driftune.adaptation.steps.challenge", fail)
                trial.act(shifted_world.day(number), outcomes)
            found += [row.state for row in own.decisions()]
    assert found == states
    assert (trial.finetunes, trial.promoted) == (finetunes, finetunes)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.trains
def test_a_challenger_that_waits_is_judged_again_in_a_trial(
    shifted_world: World, tmp_path: Path
) -> None:
    # Too few gate rows on one day, enough with those of the next.
    gate = {"min_rows": 400, "calibration_band": [0.2, 5.0]}
    config = shifted_world.config
    config = config.model_copy(update={"gate": config.gate.model_copy(update=gate)})
    trial = trial_of_one_domain(shifted_world, config, tmp_path)
    states = []
    with trial.ledger as own:
        for number in range(3, 3 + DAYS):
            trial.act(shifted_world.day(number), Outcomes(tmp_path / "outcomes"))
            states.append([row.state for row in own.decisions()])
        (row,) = own.decisions(decisions.c.day == str(shifted_world.day(3)))
    assert states == [["waiting"], ["promoted"], ["promoted"]]
    assert [look.verdict for look in row.gate.looks] == ["wait", "promote"]
    assert_promoted_by_far(row.gate, config)
    assert (trial.finetunes, trial.promoted) == (1, 1)
    with Ledger(config) as ledger:
        assert ledger.decisions() == []
