"""A training job of the user's own: what it gets, what becomes of what it leaves, and its log."""

import json
import logging
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from driftune.adaptation.adapt import adapt
from driftune.adaptation.finetune import finetune
from driftune.config.workspace import Workspace
from driftune.models.adapters import load_adapter
from driftune.project import Project
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import client, model_name
from driftune.registry.rollback import rollback
from tests.adaptation.trainers import HERE, WRITE_TO, documented, name_trainer, shell
from tests.conftest import World, impressions
from tests.crowning import DOMAIN, KEY, bench, bring, crown, pending, random_adapter, split_of


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.ci
def test_a_script_of_one_s_own_is_promoted_through_the_gate(next_day_world: World) -> None:
    world, day = next_day_world, next_day_world.day(4)
    name_trainer(world, [sys.executable, str(documented(world.root))])
    frame = impressions(day, 8000)
    # Clicked is what was left before, and the other way round.
    liked = frame["category"].isin(["burgers", "salads"])
    frame["click"] = (np.random.default_rng(5).random(len(frame)) < liked * 0.6 + 0.05).astype(
        "int8"
    )
    frame["ordered"] = frame["ordered"] * frame["click"]
    bring(world, day, frame)
    decision = pending(world, day)
    with Project(world.config) as project:
        state = adapt(project, decision)
        row = project.ledger.decision(decision)
        assert (state, row.note) == ("promoted", None), row.gate and row.gate.rules
        assert row.training is not None and row.training.trainer == "command"
        assert set(row.training.reported) == {"select_loss", "epochs"}
        champions, bank = champions_for(world.config, project.ledger, row.backbone, [KEY])
        (folder,) = [champions[KEY].folder]
        adapter, card = load_adapter(folder, backbone=row.backbone)
        assert [*bank.widths] == [*adapter.places] == ["click_tower.0"]
        assert card["decision"] == decision and card["training"]["trainer"] == "command"
        (registered,) = client(world.config).search_model_versions(f"name = '{model_name(KEY)}'")
        assert registered.tags["sha256"] == card.sha256
        rollback(world.config, project.ledger, KEY, None, "a drill")
        assert project.ledger.champion_version(KEY) == 0


def test_rows_come_as_the_lake_and_the_model_have_them_and_none_of_the_gate(
    next_day_world: World, tmp_path: Path
) -> None:
    world, day, kept = next_day_world, next_day_world.day(3), tmp_path / "kept"
    sha256 = crown(world, random_adapter(world), [world.day(2)])
    name_trainer(world, shell(f'cp -r {HERE} {kept}; test "$1" = "$DRIFTUNE_JOB"; exit $?'))
    decision, begun = pending(world, day), datetime.now(UTC)
    with Project(world.config, mirrored=False) as project:
        assert adapt(project, decision) == "failed"
        served = project.served
    job = json.loads((kept / "job.json").read_text())
    split, encoder = split_of(world, day), served.encoder
    assert job["fields"] == [*encoder.fields]
    assert job["numbers"] == [*encoder.numbers]
    gate = np.datetime64(int(split.gate.time[0]), "us")
    for name, rows in (("train", split.train), ("select", split.select)):
        table = pq.read_table(kept / f"{name}.parquet")
        time = table.column("event_time").to_numpy()
        assert table.num_rows == len(rows) == job[name]["rows"] > 0
        assert (time < gate).all()
        assert np.array_equal(time.astype("datetime64[us]").astype(np.int64), rows.time)
        for prefix, found in (("c", rows.ids), ("x", rows.numbers)):
            given = [table.column(f"{prefix}_{n}").to_numpy() for n in range(found.shape[1])]
            assert np.array_equal(np.stack(given, 1), found.numpy())
        assert np.array_equal(table.column("click").to_numpy(), rows.click.numpy())
        assert set(table.column("domain").to_pylist()) == {DOMAIN}
        assert {"user_id", "item_id", "category", "price", "request_id"} <= {*table.schema.names}
    assert set(job["days"]) == {str(world.day(n)) for n in (1, 2, 3)}
    assert (job["champion_version"], Path(job["champion"]).name) == (1, f"00001-{sha256[:12]}")
    assert job["backbone_fingerprint"] == served.backbone
    left = (datetime.fromisoformat(job["deadline"]) - begun).total_seconds()
    assert 3600 <= left < 4000
    assert [*(kept / "write_to").iterdir()] == []
    # Nothing of the job stays.
    assert not Path(job["write_to"]).parent.exists()
    assert not Workspace(world.config).trainer(decision).exists()


@pytest.mark.slow
@pytest.mark.ci
def test_what_it_says_is_logged_without_secrets(
    next_day_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = next_day_world
    monkeypatch.setenv("BUCKET_SECRET_KEY", "correct-horse")
    said = "s3://me:battery@store/x?token=staple $BUCKET_SECRET_KEY"
    name_trainer(world, shell(f'printf "1 of 2\\r2 of 2\\n"; echo "{said}" >&2; exit 3'))
    decision = pending(world, world.day(3))
    with (
        caplog.at_level(logging.INFO, "driftune"),
        Project(world.config, mirrored=False) as project,
    ):
        assert adapt(project, decision) == "failed"
        note = project.ledger.decision(decision).note
    shown = "s3://…@store/x?token=… …"
    lines = [line for line in caplog.messages if line.startswith(f"{decision}: trainer: ")]
    assert sorted(lines) == [f"{decision}: trainer: {text}" for text in ("1 of 2", "2 of 2", shown)]
    assert note == f"{DOMAIN}: the training job ended with exit code 3: {shown}"
    for secret in ("battery", "staple", "correct-horse"):
        assert secret not in caplog.text + note


@pytest.mark.slow
@pytest.mark.ci
def test_a_report_that_cannot_be_read_costs_no_adapter(
    next_day_world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = next_day_world
    from driftune.models.adapters import save_adapter

    decision = pending(world, world.day(3))
    with Ledger(world.config) as ledger:
        backbone = ledger.decision(decision).backbone
    made = save_adapter(tmp_path / "made", random_adapter(world), {"backbone": backbone})
    texts = {
        "not JSON": {},
        "[1]": {},
        '{"auc": 0.7, "rows": 12, "note": "x", "on": true, "lost": NaN, "far": 1e999}': {
            "auc": 0.7,
            "rows": 12.0,
        },
    }
    for text, figures in texts.items():
        report = f"printf %s {shlex.quote(text)} > {WRITE_TO}/report.json"
        name_trainer(world, shell(f"cp {made}/* {WRITE_TO}/; {report}"))
        with Ledger(world.config) as ledger:
            assert finetune(bench(world.config, ledger, decision)).reported == figures
    assert caplog.text.count("report.json is left out") == 2
