"""Settings that change while a decision is adapted for: no claim is concluded by a mixture."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from driftune.adaptation.adapt import adapt
from driftune.adaptation.steps import Steps
from driftune.adaptation.workbench import Workbench
from driftune.config.marks import changed_settings, decision_marks, known_marks, settings_marks
from driftune.config.workspace import Workspace
from driftune.models.adapters import save_adapter
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.records import TrainingFigures
from tests.conftest import World
from tests.crowning import pending, random_adapter


class ChangedMeanwhile(Steps):
    """Steps with an untrained challenger; params.yaml is another one when it is judged."""

    def __init__(self, world: World) -> None:
        self.world, self.params = world, Path(world.params)

    def fine_tune(
        self, benches: Sequence[Workbench], renew: Callable[[str], None]
    ) -> Mapping[str, TrainingFigures]:
        """Plant a challenger, and change what the gate asks for."""
        (bench,) = benches
        card = {"backbone": bench.served.backbone, "lake": bench.split.lake}
        folder = Workspace(bench.config).challenger(bench.decision_id)
        save_adapter(folder, random_adapter(self.world), card)
        text = self.params.read_text(encoding="utf-8")
        changed = text.replace("min_rows: 50", "min_rows: 1").replace("seed: 7", "seed: 8")
        self.params.write_text(changed, encoding="utf-8")
        return {bench.decision_id: TrainingFigures()}


def test_a_run_concludes_by_the_settings_that_it_claimed_with(
    next_day_world: World, day: date
) -> None:
    world, decision = next_day_world, pending(next_day_world, day)
    claimed = world.config
    with Ledger(claimed) as ledger:
        adapt(Project(claimed, ledger, mirrored=False), decision, ChangedMeanwhile(world))
        gate = ledger.decision(decision).gate
    assert gate is not None and gate.plan is not None
    assert gate.plan.settings == settings_marks(claimed)
    assert changed_settings(gate.plan.settings, known_marks(world.config)) == ["seed", "gate"]
    assert {rule.limit for rule in gate.rules if rule.name == "enough rows"} == {"≥ 50"}


def test_marks_leave_out_how_pages_are_kept_and_what_was_not_marked(next_day_world: World) -> None:
    config = next_day_world.config
    shown = config.model_copy(update={"drift": config.drift.model_copy(update={"html": "never"})})
    assert settings_marks(shown) == settings_marks(config)
    assert changed_settings({}, known_marks(config)) == []


def test_a_key_that_a_release_adds_changes_no_mark(make_world: Callable[..., World]) -> None:
    config = make_world().config
    known = known_marks(config)
    assert changed_settings(decision_marks(config), known) == []
    # As releases before marked them: all keys, of which the gate had one less.
    gate = config.gate.model_dump(mode="json")
    for later in ("rule", "max_loss", "max_loss_chance"):
        del gate[later]
    with_it = _mark_of_before(gate)
    del gate["log_loss_tolerance"]
    for mark in (with_it, _mark_of_before(gate)):
        assert changed_settings({"gate": mark, "seed": _mark_of_before(config.seed)}, known) == []
    # In a form that a later release has.
    assert changed_settings({"gate": "3:abc", "more": "2:abc"}, known) == []
    other = {"gate": _mark_of_before(gate | {"min_rows": 4711}), "seed": _mark_of_before(4711)}
    assert changed_settings(other, known) == ["gate", "seed"]
    # A value that such a key was given since is a change.
    stricter = config.gate.model_copy(update={"log_loss_tolerance": 0.001})
    asked = known_marks(config.model_copy(update={"gate": stricter}))
    assert changed_settings({"gate": _mark_of_before(gate)}, asked) == ["gate"]


def _mark_of_before(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
