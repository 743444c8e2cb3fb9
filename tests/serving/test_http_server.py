"""examples/serve.py as a server of its own: bounds, bad rows, and a manifest that changes."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.rollback import rollback
from driftune.serving import Scorer
from driftune.serving.export import export
from tests.crowning import KEY, crown, random_adapter
from tests.servers import free_port, serving

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "serve.py"
ALONE = """
import importlib.metadata, json, re, sys
bundle, group, rows = sys.argv[1], set(json.loads(sys.argv[2])), json.loads(sys.argv[3])
held = importlib.metadata.packages_distributions()
plain = lambda name: re.sub("[-_.]+", "-", name).lower()

class Others:
    def find_spec(self, name, path=None, target=None):
        found = {plain(each) for each in held.get(name.partition(".")[0], [])} - {"driftune"}
        if found and not found & group:
            print("without", name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Others())
sys.path.insert(0, "")
import examples.serve, s3fs
from driftune.serving import Scorer
print(Scorer.open(bundle).score(rows).num_rows, "rows")
"""
MOST_ROWS, MOST_BYTES = 60, 100_000


@contextmanager
def server(bundle: Path, log: Path) -> Iterator[str]:
    """The example with small bounds, as a process of its own; yields host and port."""
    port = free_port()
    options = {"bundle": bundle, "port": port, "poll": 0.1, "report-to": log.parent / "reports"}
    options |= {"max-rows": MOST_ROWS, "max-bytes": MOST_BYTES}
    command = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    url = f"http://127.0.0.1:{port}"
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    module, env = ("examples.serve", *command), {"PYTHONPATH": paths}
    with serving(log, *module, url=f"{url}/health", env=env):
        yield urlsplit(url).netloc


def ask(where: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    """Status and text of an answer."""
    connection = http.client.HTTPConnection(where, timeout=60)
    try:
        connection.request("POST" if body is not None else "GET", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another process does by itself."""
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def as_json(served, rows: int) -> list[dict]:
    """Rows of the day after, as JSON has them."""
    return json.loads(json.dumps(served.rows.slice(0, rows).to_pylist(), default=str))


def renew(served, bundle: Path) -> None:
    """Export what the ledger says now."""
    with Project(served.world.config) as project:
        export(project, bundle, served.world.day(2))


def swap(target: Path, source: Path) -> None:
    """Put another manifest into a bundle that has its parts."""
    part = target / "manifest.part"
    shutil.copyfile(source / "manifest.json", part)
    part.replace(target / "manifest.json")


@pytest.mark.slow
@pytest.mark.ci
def test_a_promotion_and_its_rollback_under_load_fail_no_request_and_mix_no_scores(
    served, tmp_path
):
    world, before, promoted = served.world, tmp_path / "before", tmp_path / "promoted"
    shutil.copytree(served.bundle, before)
    crown(world, random_adapter(world, scale=3), world.config.reference.days, 2)
    renew(served, promoted)
    rows = as_json(served, 50)
    wanted = [Scorer.open(each).score(rows).to_pylist() for each in (before, promoted)]
    names = [Scorer.open(each).info()["bundle"] for each in (before, promoted)]
    assert wanted[0] != wanted[1]
    body, stop = json.dumps(rows).encode(), threading.Event()
    wrong: list[str] = []
    seen = [0, 0]

    with server(served.bundle, tmp_path / "serve.log") as where:

        def work() -> None:
            connection = http.client.HTTPConnection(where, timeout=60)
            while not stop.is_set():
                try:
                    connection.request("POST", "/score", body)
                    answer = connection.getresponse()
                    text = answer.read().decode()
                    seen[wanted.index(json.loads(text))] += 1
                except (OSError, http.client.HTTPException, ValueError) as error:
                    wrong.append(repr(error)[:200])
                    connection.close()
            connection.close()

        def serves(name: str) -> bool:
            return json.loads(ask(where, "/version")[1])["info"]["bundle"] == name

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        renew(served, served.bundle)
        until(lambda: serves(names[1]))
        with Ledger(world.config) as ledger:
            rollback(world.config, ledger, KEY, None, "complaints")
        renew(served, served.bundle)
        until(lambda: serves(names[0]))
        shutil.copytree(promoted / "parts", served.bundle / "parts", dirs_exist_ok=True)
        for number in range(1, 8):
            swap(served.bundle, (before, promoted)[number % 2])
            until(lambda name=names[number % 2]: serves(name))
        _break_and_mend(served.bundle, promoted, where)
        stop.set()
        for thread in threads:
            thread.join()
        assert serves(names[1])
    assert wrong == [] and min(seen) > 0


def _break_and_mend(bundle: Path, promoted: Path, where: str) -> None:
    """A manifest that cannot be read is said, and the former one serves on."""
    (bundle / "manifest.json").write_text("{}")
    until(lambda: json.loads(ask(where, "/health")[1])["ok"] is False)
    problem = json.loads(ask(where, "/health")[1])["problem"]
    assert "is no manifest of a bundle" in problem and "\n" not in problem
    metrics = ask(where, "/metrics/")[1]
    assert "driftune_serving_behind 1.0" in metrics
    assert "driftune_serving_refresh_failures 0.0" not in metrics
    swap(bundle, promoted)
    well = {"ok": True, "problem": None, "unreported": None}
    until(lambda: json.loads(ask(where, "/health")[1]) == well)


@pytest.mark.slow
@pytest.mark.ci
def test_bounds_and_bad_rows_are_refused_in_one_line(read_only, tmp_path):
    rows = as_json(read_only, 3)
    lacking = [{name: value for name, value in rows[0].items() if name != "item_id"}]
    cases = [
        (json.dumps(rows * MOST_ROWS).encode(), 413, f"{3 * MOST_ROWS} rows; send {MOST_ROWS}"),
        (b" " * (MOST_BYTES + 1), 413, f"more than {MOST_BYTES} bytes"),
        (json.dumps(lacking).encode(), 422, "the rows lack the column 'item_id' (columns.item)"),
        (json.dumps(rows[0]).encode(), 422, "a list of dicts, not a dict"),
        (b"[1, 2]", 422, "rows must be dicts"),
        (b"7", 422, "a list of dicts, not a int"),
        (b"{", 422, "Expecting property name"),
        (b"\xff\xfe\x00", 422, "decode"),
        (b"[" * 50_000, 422, "recursion"),
        (json.dumps([{**rows[0], "user_id": "\ud800"}]).encode(), 422, "column 'user_id': row 0"),
        (json.dumps([{**rows[0], "price": 10**400}]).encode(), 422, "column 'price': row 0"),
        (json.dumps([{**rows[0], "user_id": {"a": 1}}]).encode(), 422, "user_id"),
    ]
    with server(read_only.bundle, tmp_path / "serve.log") as where:
        for body, status, told in cases:
            found, text = ask(where, "/score", body)
            assert (found, told in text) == (status, True), (body[:60], text)
            assert "\n" not in json.loads(text)["detail"]
        rows.append({**rows[0], "user_id": ""})
        status, text = ask(where, "/score", json.dumps(rows).encode())
        found = json.loads(text)
        assert found == Scorer.open(read_only.bundle).score(rows).to_pylist()
        assert (status, found[-1]["p_click"], found[-1]["why"]) == (200, None, "no user")
        said = json.loads(ask(where, "/version")[1])
        assert said["info"]["domains"] == len(said["domains"]) > 0
        metrics = ask(where, "/metrics/")[1]
        assert 'driftune_serving_refused_total{status="413"} 2.0' in metrics
        assert 'driftune_serving_rows_total{served_by="none"} 1.0' in metrics


@pytest.mark.slow
@pytest.mark.ci
def test_what_is_no_bundle_is_one_line(tmp_path):
    command = [sys.executable, str(EXAMPLE), "--bundle", "nowhere"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 1 and ran.stderr.count("\n") == 1
    assert "nowhere/manifest.json: is not there" in ran.stderr


@pytest.mark.slow
@pytest.mark.ci
def test_it_serves_with_the_packages_of_its_image_alone(read_only):
    """Every other package that is installed here cannot be imported."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from lock import locked
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    group = [each.name for each in locked() if "serve" in each.groups]
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, str(read_only.bundle), json.dumps(group),
         json.dumps(as_json(read_only, 2))],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "2 rows" in ran.stdout and "pandas" in ran.stdout


def test_the_example_is_short():
    assert len(EXAMPLE.read_text("utf-8").splitlines()) <= 80
