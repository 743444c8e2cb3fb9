"""Runs that are observed: log lines that name them, durations kept, metrics told."""

import json
import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from driftune.cli.console import progress
from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError
from driftune.intake.ingest import ingest
from driftune.observe.context import about, current
from driftune.observe.run import observed
from driftune.registry.ledger import Ledger
from driftune.registry.runs import newest_runs
from tests.conftest import World, impressions

log = logging.getLogger("driftune")


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def figures(path: Path) -> dict[tuple[str, ...], float]:
    """The samples of a text file: value by name and label values."""
    families = text_string_to_metric_families(path.read_text())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_lines_in_the_file_say_what_they_are_about(make_world: Callable[..., World]) -> None:
    world = make_world(observe={"log_file": "logs/driftune.jsonl"})
    with observed(world.config, "daily", day=world.day(3), run="blue-fox") as run:
        with run.station("drift"), about(domain="home · north"):
            log.info("moved by %d", 7)
            worker = threading.Thread(target=copy_context().run, args=(log.warning, "in a thread"))
            worker.start()
            worker.join()
        # An inner run writes to the same file, once.
        with observed(world.config, "adapt", run="red-owl"):
            log.info("inner")
    log.info("after")
    first, second, third = lines(world.root / "logs" / "driftune.jsonl")
    at = datetime.fromisoformat(first.pop("time"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    of_the_day = {"flow": "daily", "day": str(world.day(3)), "run": "blue-fox"}
    assert first == {
        **of_the_day,
        "level": "INFO",
        "message": "moved by 7",
        "station": "drift",
        "domain": "home · north",
    }
    assert (second["message"], second["domain"]) == ("in a thread", "home · north")
    assert (third["flow"], third["run"], third["day"]) == ("adapt", "red-owl", of_the_day["day"])
    assert current() == {}


def test_a_log_file_that_cannot_be_written_is_one_line(make_world: Callable[..., World]) -> None:
    world = make_world(observe={"log_file": "params.yaml/x"})
    with (
        pytest.raises(DriftuneError, match=r"observe\.log_file: .* cannot be written"),
        observed(world.config, "daily"),
    ):
        pass


def test_the_command_line_s_lines_are_json_when_asked(capfd: pytest.CaptureFixture[str]) -> None:
    with progress(as_json=True), about(day="2026-03-05"):
        log.info("done")
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line) | {"time": ""} == {
        "time": "",
        "level": "INFO",
        "message": "done",
        "day": "2026-03-05",
    }


def test_stations_of_the_run_that_took_the_day_in_are_kept(world: World) -> None:
    day = world.day(3)
    with pytest.raises(RuntimeError), observed(world.config, "daily", day=day) as run:
        for name in ("fetch", "stage", "fetch"):
            with run.station(name):
                pass
        raise RuntimeError("broken off")
    with Ledger(world.config) as ledger:
        (kept,) = newest_runs(ledger).values()
    assert [name for name, _ in kept.stations] == ["fetch", "stage"]
    assert kept.succeeded is False
    with observed(world.config, "daily", day=day) as run, run.station("fetch"):
        pass
    with Ledger(world.config) as ledger:
        assert newest_runs(ledger)[str(day)] == kept


def test_metrics_count_domains_and_outlast_a_failure(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    world.write(day, impressions(day))
    path = Workspace(world.config).metrics / "daily.prom"
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    with observed(world.config, "daily", day=day) as run, run.station("fetch"):
        pass
    found = figures(path)
    assert found["driftune_flow_success", "daily"] == 1
    assert found["driftune_flow_station_seconds", "daily", "fetch"] < 10
    assert found["driftune_day_rows", "accepted"] == 1200
    assert found["driftune_day_domains", "ok"] == 4
    succeeded = found["driftune_flow_last_success_timestamp_seconds", "daily"]
    with pytest.raises(RuntimeError), observed(world.config, "daily", day=day):
        raise RuntimeError("broken off")
    found = figures(path)
    assert found["driftune_flow_success", "daily"] == 0
    assert found["driftune_flow_last_success_timestamp_seconds", "daily"] == succeeded


def test_metrics_are_pushed_and_a_gateway_that_is_away_is_a_warning(
    make_world: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[tuple[str, bytes]] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            taken.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        world = make_world(observe={"push_gateway": url, "metrics": False})
        with observed(world.config, "guard"):
            pass
        server.shutdown()
    ((path, body),) = taken
    assert path == "/metrics/job/driftune/flow/guard"
    assert b'driftune_flow_success{flow="guard"} 1.0' in body
    assert not Workspace(world.config).metrics.exists()
    with caplog.at_level(logging.WARNING, logger="driftune"), observed(world.config, "guard"):
        pass
    assert "takes no metrics" in caplog.text


def test_a_gateway_that_is_no_url_is_named(make_world: Callable[..., World]) -> None:
    world = make_world(observe={"push_gateway": "gateway:9091"})
    with pytest.raises(DriftuneError, match=r"push_gateway.*is no http"):
        load_config(world.params, env={})
