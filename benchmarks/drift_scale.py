"""What a day's drift decisions cost: seconds and memory by volume and number of domains."""

import resource
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.common import finish, options, say, table
from benchmarks.drift_world import prepare
from benchmarks.many_domains import prepare_many, world
from driftune.config.loading import load_config
from driftune.simulate.settings import SimulationConfig

# As many as the daily flow maps over.
THREADS = 4
MILLION = 1_000_000
# Rows a day of a domain among very many.
FEW_ROWS = 500
STATIONS = [
    "encode",
    "windows",
    "measure",
    "measure_cpu",
    "decide",
    "decide_cpu",
    "seconds",
    "peak_gb",
]


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument(
        "--domains", type=int, help=f"so many domains of {FEW_ROWS} rows a day, and nothing else"
    )
    parser.add_argument("--folder", type=Path, help="keep the worlds here and use them again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        if given.domains:
            found = many_domains(folder, given.domains)
            report_domains({found["domains"]: found})
            finish({"benchmark": "drift_scale", "by_domains": {str(found["domains"]): found}})
            return
        if given.quick:
            sizes = {10: (2, 5, 20_000)}
            large = detection(folder, 2, 5, 40_000, reference=3)
        else:
            large = detection(folder, 5, 10, 2 * MILLION, reference=9)
            sizes = {10: (2, 5, MILLION), 100: (10, 10, MILLION), 1000: (20, 50, MILLION)}
        growth = {
            count: detection(folder, scenes, regions, rows, reference=3)
            for count, (scenes, regions, rows) in sizes.items()
        }
        if given.quick:
            growth[1000] = many_domains(folder, 1000)
    frames = [20_000, 40_000] if given.quick else [MILLION, 4 * MILLION]
    evidently = {rows: alone(full_frames, rows) for rows in frames}
    report(large, growth, evidently)


def report(
    large: dict[str, Any], growth: dict[int, dict[str, Any]], evidently: dict[int, dict[str, Any]]
) -> None:
    """Print tables and figures; Evidently's are carried on to the rows of the large world."""
    named = {f"{large['rows']:,} rows, {large['domains']} domains": large["cold"]}
    named["… the next time, reference kept"] = large["warm"]
    report_domains(growth, named)
    (few, first), (many, second) = sorted(evidently.items())
    factor = (large["rows"] / 2 - few) / (many - few)
    carried = {
        name: first[name] + factor * (second[name] - first[name]) for name in ("seconds", "peak_gb")
    }
    rows = [[f"{n:,} rows a side", f"{f['seconds']:.0f}", f"{f['peak_gb']:.1f}"]
            for n, f in sorted(evidently.items())]  # fmt: skip
    rows.append([f"{large['rows'] // 2:,} rows a side, extrapolated",
                 f"{carried['seconds']:.0f}", f"{carried['peak_gb']:.1f}"])  # fmt: skip
    table(["Evidently's preset on full frames, 12 columns", "seconds", "peak GB"], rows)
    finish(
        {
            "benchmark": "drift_scale",
            "rows": large["rows"],
            "domains": large["domains"],
            "seconds": large["cold"]["seconds"],
            "peak_gb": large["cold"]["peak_gb"],
            "seconds_reference_kept": large["warm"]["seconds"],
            "evidently_seconds": {str(n): f["seconds"] for n, f in evidently.items()},
            "evidently_peak_gb": {str(n): f["peak_gb"] for n, f in evidently.items()},
            "evidently_extrapolated": carried,
            "by_domains": {str(count): found for count, found in growth.items()},
        }
    )


def report_domains(
    growth: dict[int, dict[str, Any]], before: dict[str, dict[str, float]] | None = None
) -> None:
    """Print the figures by number of domains, under those of ``before``."""
    named = dict(before or {})
    for count, found in growth.items():
        named[f"{found['rows']:,} rows, {count:,} domains"] = found["cold"]
        named[f"… {count:,} domains, reference kept"] = found["warm"]
    table(
        ["a day's drift decisions", *STATIONS],
        [[name, *(f"{row[station]:.1f}" for station in STATIONS)] for name, row in named.items()],
    )


def many_domains(folder: Path, domains: int) -> dict[str, Any]:
    """Drift decisions on one day of so many domains of few rows, after three such days.

    See ``detection``.
    """
    reference = 3
    settings = world(domains, FEW_ROWS, reference)
    home = folder / f"many-{domains}-{FEW_ROWS}-{reference}"
    _apart(prepare_many, settings, home, reference, domains)
    return _timed(home, settings.last, domains)


def detection(
    folder: Path, scenes: int, regions: int, rows: int, *, reference: int
) -> dict[str, Any]:
    """Drift decisions on one day of ``rows`` impressions, after as large reference days.

    ``cold``: nothing is kept but the lake, the model and the encoded reference days that
    pre-training left; ``warm``: the counts of the reference days are kept too, as on any day but
    the first.
    """
    domains = scenes * regions
    settings = SimulationConfig(
        seed=31,
        start=date(2026, 3, 2),
        days=reference + 1,
        rows_per_domain=rows // domains,
        users=max(4000, rows // 20),
        items=2000,
        scenes=tuple(f"scene {number + 1}" for number in range(scenes)),
        regions=tuple(f"region {number + 1}" for number in range(regions)),
    )
    home = folder / f"scale-{domains}-{rows}-{reference}"
    cheap = {"  epochs: 2\n": "  epochs: 1\n", "batch_size: 512": "batch_size: 8192"}
    # A process inherits its parent's peak of memory: what prepares a world must not be the parent.
    _apart(prepare, settings, home, reference, cheap)
    return _timed(home, settings.last, domains)


def _timed(home: Path, day: date, domains: int) -> dict[str, Any]:
    """Figures of the day's decisions, ``cold`` and ``warm``."""
    say(f"{domains} domains: prepared")
    found: dict[str, Any] = {"domains": domains}
    for name in ("cold", "warm"):
        _forget(home, everything=name == "cold")
        found[name] = alone(detect, home, day)
    found["rows"] = found["cold"].pop("rows")
    del found["warm"]["rows"]
    return found


def _forget(home: Path, *, everything: bool) -> None:
    """Take back what an earlier run decided on the last day, or all that was counted."""
    for path in home.glob("trial-ledger.db*"):
        path.unlink()
    for path in (home / "drift").glob("*" if everything else "2*"):
        shutil.rmtree(path)


def detect(home: Path, day: date) -> dict[str, float]:
    """Encode, draw, measure and decide a day as the daily flow does; seconds of each station."""
    from driftune.drift.detect import decide_day
    from driftune.drift.measure import batches, measure_domains
    from driftune.drift.windows import draw_windows
    from driftune.features.days import encode_day
    from driftune.registry.ledger import Ledger
    from driftune.training.pretrain import load_model

    shutil.copy2(home / "ledger.db", home / "trial-ledger.db")
    config = load_config(home / "params.yaml")
    ledger_file = f"sqlite:///{home / 'trial-ledger.db'}"
    registry = config.registry.model_copy(update={"ledger": ledger_file})
    config = config.model_copy(update={"registry": registry})
    encoder, _, _ = load_model(config)
    for path in (home / "features").glob(f"{day}*"):
        path.unlink()
    times, busy = [time.perf_counter()], [time.process_time()]

    def passed() -> float:
        times.append(time.perf_counter())
        busy.append(time.process_time())
        return times[-1] - times[-2]

    with Ledger(config) as ledger:
        rows = sum(row.rows for row in ledger.days())
        encode_day(config, encoder, day)
        figures = {"encode": passed()}
        windows = draw_windows(config, ledger, day)
        figures["windows"] = passed()
        with ThreadPoolExecutor(THREADS) as pool:
            some = pool.map(partial(measure_domains, config), batches(windows))
            found = {each.key: each for part in some for each in part}
        measured = [found[window.key] for window in windows]
        figures["measure"] = passed()
        decided = decide_day(config, ledger, windows, measured)
        figures["decide"] = passed()
    problems = [each.problem for each in measured if each.problem]
    if problems or len(decided) != len(windows):
        raise ValueError(f"{len(problems)} of {len(windows)} domains not measured: {problems[:1]}")
    # On a machine that others use, too, these say more than the seconds that passed.
    used = {"measure_cpu": busy[-2] - busy[-3], "decide_cpu": busy[-1] - busy[-2]}
    return {**figures, **used, "seconds": times[-1] - times[0], "rows": rows}


def full_frames(rows: int) -> dict[str, float]:
    """Evidently's DataDriftPreset on two frames of 12 columns and ``rows`` rows each."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    from driftune.simulate.days import Simulator

    domains = 6
    settings = SimulationConfig(
        start=date(2026, 3, 2), days=2, rows_per_domain=int(rows / domains * 1.25), users=50_000
    )
    sides = []
    for day in settings.calendar:
        drawn = Simulator.build(settings).draw(day).drop_columns(["request_id", "user_id"])
        frame = drawn.slice(0, rows).to_pandas()
        moment = frame.pop("event_time")
        frame["hour"], frame["minute"] = moment.dt.hour, moment.dt.hour * 60 + moment.dt.minute
        sides.append(frame)
    numeric = ["price", "propensity", "position", "hour", "minute"]
    columns = DataDefinition(
        numerical_columns=numeric,
        categorical_columns=[name for name in sides[0].columns if name not in numeric],
    )
    if any(len(side) != rows or side.shape[1] != 12 for side in sides):
        raise ValueError(f"frames of {[side.shape for side in sides]}")
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        now, then = (Dataset.from_pandas(pd.DataFrame(side), columns) for side in sides[::-1])
        Report([DataDriftPreset()]).run(now, then)
    return {"seconds": time.perf_counter() - started}


def alone(function: Callable[..., dict[str, float]], *given: Any) -> dict[str, float]:
    """What the function returns in a process of its own, and the most memory that it held."""
    return _apart(_with_peak, function, *given)


def _apart(function: Callable[..., Any], *given: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *given).result()


def _with_peak(function: Callable[..., dict[str, float]], *given: Any) -> dict[str, float]:
    found = function(*given)
    return {**found, "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


if __name__ == "__main__":
    main()
