"""What serves where: processes report their bundle; status and front page say who is behind."""

import json
import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.rollback import rollback
from driftune.reports import build_site
from driftune.serving import Follower, Scorer
from driftune.serving.export import export
from driftune.serving.known import known_bundles, remember
from driftune.serving.places import Folder
from driftune.serving.presence import processes
from driftune.serving.where import bundle_status
from tests.crowning import KEY
from tests.hostile import DELIVERED, RAN


def renew(served, bundle: Path | None = None) -> None:
    with Project(served.world.config) as project:
        export(project, bundle or served.bundle, served.world.day(2))
    remember(served.world.config, str(bundle or served.bundle))


def status(served):
    with Ledger(served.world.config) as ledger:
        return bundle_status(served.world.config, ledger)


def site(served) -> str:
    with Ledger(served.world.config) as ledger:
        return build_site(served.world.config, ledger).read_text("utf-8")


@pytest.mark.slow
@pytest.mark.ci
def test_a_rollback_is_seen_to_have_reached_bundle_and_process(served):
    assert status(served) == [] and "What serves where" not in site(served)
    renew(served)
    follower = Follower(Scorer.open(served.bundle), poll=600)
    with follower:
        (bundle,) = status(served)
        (process,) = bundle["processes"]
        assert (bundle["differs"], bundle["problem"], process["differs"]) == ([], None, [])
        assert (process["host"], process["pid"]) == (socket.gethostname(), os.getpid())
        assert process["state"] == "current" and process["bundle"] == bundle["bundle"]
        with Ledger(served.world.config) as ledger:
            rollback(served.world.config, ledger, KEY, None, "complaints")
        (bundle,) = status(served)
        line = "home · north: v1; base is champion"
        assert bundle["differs"] == [line] == bundle["processes"][0]["differs"]
        assert line in site(served)
        renew(served)
        (bundle,) = status(served)
        (process,) = bundle["processes"]
        assert (bundle["differs"], process["state"], process["differs"]) == ([], "former", [line])
        assert "a former bundle" in site(served)
        assert follower.look()
        (bundle,) = status(served)
        (process,) = bundle["processes"]
        assert (process["state"], process["differs"]) == ("current", [])
        assert "a former bundle" not in site(served)
    assert status(served)[0]["processes"] == []


@pytest.mark.slow
@pytest.mark.ci
def test_a_refresh_that_fails_is_reported_and_the_former_bundle_serves(served):
    renew(served)
    rows = served.rows.slice(0, 5)
    with Follower(Scorer.open(served.bundle), poll=600) as follower:
        before, manifest = follower.scorer.score(rows), served.bundle / "manifest.json"
        whole = manifest.read_bytes()
        manifest.write_bytes(whole[:-20])
        assert not follower.look()
        assert (follower.failures, follower.health()["ok"]) == (1, False)
        assert "manifest.json: damaged" in str(follower.problem)
        assert follower.scorer.score(rows).equals(before)
        (bundle,) = status(served)
        assert "damaged" in str(bundle["problem"]) and bundle["bundle"] is None
        (said,), unreadable = processes(Folder(served.bundle / "serving"))
        assert (said.problem, unreadable) == (follower.problem, 0)
        manifest.write_bytes(whole)
        assert follower.look() and follower.health()["ok"] and follower.failures == 1


@pytest.mark.slow
@pytest.mark.ci
def test_the_thread_follows_by_itself(served):
    renew(served)
    with Ledger(served.world.config) as ledger:
        rollback(served.world.config, ledger, KEY, None, "complaints")
    with Follower(Scorer.open(served.bundle), poll=0.05) as follower:
        first = follower.scorer.manifest.bundle
        renew(served)
        end = time.monotonic() + 60
        while follower.scorer.manifest.bundle == first:
            assert time.monotonic() < end
            time.sleep(0.02)
    assert follower.problem is None and not list((served.bundle / "serving").iterdir())


@pytest.mark.slow
@pytest.mark.ci
def test_a_process_that_says_nothing_is_silent_and_forgotten_after_a_day(served, monkeypatch):
    renew(served)
    follower = Follower(Scorer.open(served.bundle), poll=10)
    follower.__enter__()
    folder = served.bundle / "serving"
    (file,) = folder.iterdir()
    said = json.loads(file.read_text())
    try:
        for ago, state in ((80, "current"), (100, "silent")):
            file.write_text(json.dumps({**said, "seen": time.time() - ago}))
            assert status(served)[0]["processes"][0]["state"] == state
        old = folder / "old.json"
        old.write_text(json.dumps({**said, "seen": time.time() - 90_000}))
        file.write_text(json.dumps(said))
        with Follower(Scorer.open(served.bundle), poll=10):
            assert not old.exists() and file.exists()
    finally:
        follower.__exit__(None, None, None)


@pytest.mark.slow
@pytest.mark.ci
def test_hostile_and_broken_reports_are_text_and_counted(served):
    renew(served)
    with Follower(Scorer.open(served.bundle), poll=10):
        folder = served.bundle / "serving"
        (file,) = folder.iterdir()
        said = json.loads(file.read_text())
    folder.mkdir(exist_ok=True)
    for number, value in enumerate(DELIVERED):
        hostile = {**said, "host": value, "bundle": value, "day": value, "problem": value}
        hostile["versions"] = {value: 3}
        (folder / f"{number}.json").write_text(json.dumps(hostile))
    broken = [b"", b"{}", b"[" * 99_999, b"\xff", json.dumps({**said, "seen": 1e300}).encode()]
    broken += [json.dumps({**said, "versions": [1]}).encode(), b" " * (1 << 21)]
    for number, data in enumerate(broken):
        (folder / f"broken-{number}.json").write_bytes(data)
    (bundle,) = status(served)
    assert (len(bundle["processes"]), bundle["unreadable"]) == (len(DELIVERED), len(broken))
    page = site(served)
    section = page.split('id="served"')[1].split("</section>")[0]
    assert RAN in section and "&lt;/script&gt;" in section
    for tag in ("<script", "<img", "<svg", "<iframe", "<base", "<link", "<style"):
        assert tag not in section.lower()


def test_where_reports_cannot_be_written_it_serves_and_says_so(served, tmp_path):
    place = tmp_path / "a file"
    place.touch()
    with Follower(Scorer.open(served.bundle), 600, place / "below") as follower:
        health = follower.health()
        assert health["ok"] and str(place) in str(health["unreported"])
        assert follower.scorer.score(served.rows.slice(0, 3)).num_rows == 3
    with Follower(Scorer.open(served.bundle), 600, tmp_path / "elsewhere") as follower:
        assert follower.health()["unreported"] is None
        assert len(processes(Folder(tmp_path / "elsewhere"))[0]) == 1
    with pytest.raises(ValueError, match="poll is 0"):
        Follower(Scorer.open(served.bundle), 0)


@pytest.mark.slow
@pytest.mark.ci
def test_bundles_that_are_gone_are_said_and_forgotten_by_the_next_export(served, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    renew(served, elsewhere)
    remember(served.world.config, str(served.bundle), str(tmp_path / "reports"))
    assert dict(known_bundles(served.world.config)) == {
        str(elsewhere): str(elsewhere / "serving"),
        str(served.bundle): str(tmp_path / "reports"),
    }
    (elsewhere / "manifest.json").unlink()
    problems = {each["place"]: each["problem"] for each in status(served)}
    assert problems[str(served.bundle)] is None
    assert "manifest.json: is not there" in str(problems[str(elsewhere)])
    shutil.rmtree(elsewhere)
    remember(served.world.config, str(served.bundle))
    assert [known.place for known in known_bundles(served.world.config)] == [str(served.bundle)]
