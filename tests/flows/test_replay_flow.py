"""The replay: days in order, a broken day named and passed over; and the real KuaiRand log."""

import json
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.errors import ConfigError
from driftune.io import read_json
from driftune.registry.ledger import Ledger
from flows.replay import replay
from tests.conftest import World
from tests.flows.conftest import DAY_AFTER, SHIFT_DAY, STABLE_DAY
from tests.marks import CI

KUAIRAND = Path(__file__).parents[3] / "shared" / "data" / "kuairand_pure_14d"


@pytest.mark.parametrize(
    ("broken", "others", "last"),
    [
        (STABLE_DAY, [SHIFT_DAY], SHIFT_DAY),
        pytest.param(SHIFT_DAY, [STABLE_DAY, DAY_AFTER], DAY_AFTER, marks=CI),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_a_broken_day_is_named_and_the_others_are_processed(
    simulated: World,
    monkeypatch: pytest.MonkeyPatch,
    broken: date,
    others: list[date],
    last: date,
) -> None:
    # What the days lead to is not what is asked here.
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")
    path = simulated.root / "logs" / f"impressions-{broken}.parquet"
    path.write_bytes(b"PAR1 this is no parquet file")
    result = replay(STABLE_DAY, last, str(simulated.params))
    assert list(result["failed"]) == [broken.isoformat()]
    assert path.name in result["failed"][broken.isoformat()]
    assert [day["day"] for day in result["days"]] == [str(day) for day in others]
    with Ledger(simulated.config) as ledger:
        assert ledger.day(broken) is None
        assert ledger.day(last) is not None


def test_days_in_the_wrong_order_are_refused(simulated: World) -> None:
    with pytest.raises(ConfigError, match="lies before --from"):
        replay(DAY_AFTER, STABLE_DAY, str(simulated.params))


@pytest.mark.slow
@pytest.mark.skipif(not KUAIRAND.exists(), reason="needs ../shared/data/kuairand_pure_14d")
def test_kuairand_replays_all_seven_days_and_counts_its_duplicates(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("driftune"))
    home = tmp_path / "kuairand"
    params = str(home / "params.yaml")

    def driftune(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    driftune("import", "kuairand", str(KUAIRAND), "--to", str(home))
    figures = json.loads(driftune("pretrain", "--config", params, "--json"))
    assert figures["ctr_auc"] > 0.65
    result = json.loads(
        driftune(
            "replay", "--config", params, "--from", "2022-05-02", "--to", "2022-05-08", "--json"
        )
    )
    assert result["failed"] == {}
    assert len(result["days"]) == 7
    driftune("run", "--day", "2022-04-24", "--config", params)

    workspace = Workspace(load_config(params, env={}))
    log = pd.read_parquet(KUAIRAND / "log.parquet")
    log["day"] = pd.to_datetime(log["time_ms"] + 8 * 3_600_000, unit="ms").dt.date
    copies = log[log.duplicated()]
    expected = Counter(zip(copies["day"], "tab " + copies["tab"].astype(str), strict=True))
    counted: Counter[tuple[date, str]] = Counter()
    for day in sorted(log["day"].unique()):
        for row in read_json(workspace.quality(day))["rejections"]:
            assert row["reason"] == "duplicate"
            counted[day, row["domain"]] += row["rows"]
    assert counted == expected
    assert sum(counted.values()) == 5460
    assert sum(rows for (day, _), rows in counted.items() if day >= date(2022, 5, 2)) == 2188
    partial = read_json(workspace.quality(date(2022, 4, 24)))
    assert partial["rows"] == 141
    assert partial["verdict"] == "warning"
    broken = [check["rule"] for check in partial["checks"] if not check["success"]]
    assert "hours_covered" in broken


def test_a_fault_of_any_kind_stops_no_other_day(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    days: list[date] = []

    def fail_once(day: date, config: str) -> dict[str, str]:
        days.append(day)
        if len(days) == 1:
            raise RuntimeError("the disk is gone")
        return {"day": str(day)}

    monkeypatch.setattr("flows.replay.daily", fail_once)
    result = replay(STABLE_DAY, SHIFT_DAY, str(simulated.params))
    assert result["failed"] == {str(STABLE_DAY): "RuntimeError: the disk is gone"}
    assert result["days"] == [{"day": str(SHIFT_DAY)}]
