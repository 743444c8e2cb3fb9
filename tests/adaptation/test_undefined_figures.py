"""Challengers of domains whose figures are not defined: none is promoted, and each says why."""

import json
import re
import warnings
from datetime import date

import pytest

from driftune.adaptation.adapt import adapt, look_again
from driftune.adaptation.challenge import challenge
from driftune.adaptation.claim import Claim
from driftune.adaptation.conclude import conclude
from driftune.adaptation.workbench import Workbench
from driftune.config.workspace import Workspace
from driftune.models.adapters import save_adapter
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from driftune.registry.status import domain_status
from driftune.registry.waiting import looks_due
from driftune.reports.site import build_site
from tests.conftest import World
from tests.crowning import bring, pending
from tests.undefined import (
    DOMAINS,
    STEADY,
    adapter,
    broken,
    shown_wrong,
)

LOOKS = "looks: 5", "looks: 2"
# Domain → states after the first look and after the last, and what says why then.
JUDGED = {
    "no click": ("waiting", "undecided", "0 clicks: too few, 10 are needed"),
    "only clicks": ("waiting", "rejected", r"Champion pCTR: \d+ of \d+ values are not a number"),
    "one user": ("waiting", "undecided", "1 users: too few, 20 are needed"),
    "one row": ("failed", "failed", ".*: 1001 rows up to .* are too few to train on and judge"),
    "no label": ("failed", "failed", ".*: 1000 rows up to .* are too few to train on and judge"),
    "equal scores": ("rejected", "rejected", r"CTR-AUC .* vs 0\.500: .* does not lie above zero"),
    "some not numbers": ("rejected", "rejected", r"Champion pCTR: \d+ of 175 values are not a num"),
    "certain": ("rejected", "rejected", "Challenger pCTR: 175 of 175 values are not a number"),
    "steady": ("rejected", "rejected", "Challenger pCTR: 175 of 175 values are not a number"),
}
MAY_BE = {"rejected", "waiting", "undecided"}


def judge_planted(project: Project, decision: str, *, overflows: bool) -> None:
    """Claim the decision, and judge an untrained challenger in the place of a trained one."""
    ledger, bench = project.ledger, Workbench(project, decision)
    owner = ledger.claim(decision)
    assert owner is not None
    card = {"backbone": bench.served.backbone, "lake": bench.split.lake}
    made = adapter(overflows=overflows)
    save_adapter(Workspace(project.config).challenger(decision), made, card)
    gate = challenge(bench)
    json.dumps(gate.document(), allow_nan=False)
    conclude(project, Claim(decision, owner), None, gate)


def look(world: World, ledger: Ledger, day: date) -> None:
    """Judge what waits by the rows of the day, too."""
    project = Project(world.config, ledger, mirrored=False)
    for decision in looks_due(ledger, day):
        look_again(project, decision, day)


def by_domain(ledger: Ledger) -> dict[str, Decision]:
    return {row.domain.removesuffix(" · all"): row for row in ledger.decisions()}


@pytest.mark.slow
@pytest.mark.ci
def test_none_is_promoted_and_each_says_why(undefined_world: World) -> None:
    world, day = undefined_world, undefined_world.day(3)
    text = world.params.read_text(encoding="utf-8")
    assert LOOKS[0] in text
    world.params.write_text(text.replace(*LOOKS), encoding="utf-8")
    found = {domain: pending(world, day, domain=domain) for domain in DOMAINS}
    with Ledger(world.config) as ledger, warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        project = Project(world.config, ledger, mirrored=False)
        for domain, decision in found.items():
            if JUDGED.get(domain.removesuffix(" · all"), ("",))[0] == "failed":
                assert adapt(project, decision) == "failed"
            else:
                judge_planted(project, decision, overflows=domain == STEADY)
        first = by_domain(ledger)
        after = bring(world, world.day(4), broken(world.day(4), fatal="only clicks"))
        look(world, ledger, after)
        last = by_domain(ledger)
        why = {row["domain"].removesuffix(" · all"): row["why"] for row in domain_status(ledger)}
        build_site(world.config, ledger)
        assert ledger.champions() == {}
    for name, row in first.items():
        begins, ends, reason = JUDGED.get(name, (row.state, last[name].state, ""))
        assert (row.state, last[name].state) == (begins, ends), name
        assert re.match(reason, why[name] or ""), (name, why[name])
        assert {row.state, last[name].state} <= {*MAY_BE, "failed"}
    assert list(shown_wrong(world)) == []


@pytest.mark.slow
@pytest.mark.ci
def test_rows_that_the_frozen_model_overflows_on_train_nothing(undefined_world: World) -> None:
    world, day = undefined_world, undefined_world.day(3)
    names = ("some not numbers · all", "certain · all")
    found = [pending(world, day, domain=domain) for domain in names]
    with Ledger(world.config) as ledger:
        project = Project(world.config, ledger, mirrored=False)
        assert [adapt(project, decision) for decision in found] == ["failed", "failed"]
        notes = [ledger.decision(decision).note for decision in found]
    assert notes == [
        f"{domain}: the frozen model overflows on its rows (NaN or infinity), so that no adapter "
        "can be trained; train the model anew: driftune pretrain"
        for domain in names
    ]
