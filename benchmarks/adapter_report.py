"""Figures of the adapter benchmark with their intervals; every row against the chosen IAK."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchmarks.common import table
from benchmarks.datasets import Dataset
from benchmarks.intervals import Resamples, Scored, percentiles
from benchmarks.methods import CHOSEN

METRICS = ("ctr_auc", "ctcvr_auc")
DRAWS = 500


@dataclass
class Row:
    """A method's settings and, by seed, its scores of the test rows."""

    name: str
    variant: str
    setting: dict[str, Any] = field(default_factory=dict)
    clicks: list[np.ndarray] = field(default_factory=list)
    both: list[np.ndarray] = field(default_factory=list)
    parameters: int = 0
    seconds: list[float] = field(default_factory=list)


def report(
    data: Dataset,
    found: list[Row],
    size: int,
    rows: list[dict[str, Any]],
    differences: list[dict[str, Any]],
) -> None:
    """Print the tables of a dataset; append its records to ``rows`` and ``differences``."""
    test = data.served.test
    resamples = Resamples(test, data.domains, len(found[0].clicks), DRAWS)
    click = test.click.numpy()
    both = click * test.convert.numpy()
    if not torch.equal(test.click, data.renewed.test.click):
        raise AssertionError("the two encoders order the test rows differently")
    scored = [
        (resamples.score(click, row.clicks), resamples.score(both, row.both)) for row in found
    ]
    base = scored[0]
    lines = []
    for row, figures in zip(found, scored, strict=True):
        ctr, ctcvr = figures
        by_domain = [
            {
                "domain": domain,
                **_differing(resamples, [each.domain(n) for each in figures], base, n),
            }
            for n, domain in enumerate(data.domains)
        ]
        record = {
            "dataset": data.name,
            "split": data.split,
            "method": row.name,
            "variant": row.variant,
            "combine": row.setting.get("combine"),
            "beta": row.setting.get("beta"),
            "ctr_auc": ctr.mean,
            "ctcvr_auc": ctcvr.mean,
            "ctr_auc_ci95": resamples.interval(ctr),
            "ctcvr_auc_ci95": resamples.interval(ctcvr),
            "params_per_domain": row.parameters,
            "backbone_params": size,
            "seconds": float(np.mean(row.seconds)),
            "worst_domain_delta": min(each["ctr_auc"] for each in by_domain),
            "against_frozen": by_domain,
            "setting": row.setting,
        }
        rows.append(record)
        low, high = record["ctr_auc_ci95"]
        below = sum(
            each[f"{metric}_ci95"][1] < 0
            for each in by_domain
            for metric in ("ctr_auc", "ctcvr_auc")
        )
        lines.append(
            [
                f"{row.name} ({row.variant})",
                f"{ctr.mean:.4f}",
                f"{low:.4f}-{high:.4f}",
                f"{ctcvr.mean:.4f}",
                f"{record['worst_domain_delta']:+.4f}",
                below,
                f"{row.parameters:,}",
                f"{record['seconds']:.1f}",
            ]
        )
    print(
        f"\n{data.name}, {data.split} split: {len(test):,} test rows, mean of "
        f"{len(data.domains)} domains; standard error from the test rows alone "
        f"{resamples.row_error(base[0]):.4f} (CTR-AUC), "
        f"{resamples.row_error(base[1]):.4f} (CTCVR-AUC)"
    )
    table(
        [
            "method",
            "CTR-AUC",
            "95%",
            "CTCVR-AUC",
            "worst domain",
            "below frozen",
            "parameters",
            "seconds",
        ],
        lines,
    )
    _differences(data, found, scored, resamples, differences)


def _differing(
    resamples: Resamples,
    figures: Sequence[Scored],
    base: Sequence[Scored],
    domain: int | None = None,
) -> dict[str, Any]:
    """CTR-AUC and CTCVR-AUC above those of ``base``, of all domains or one, with intervals."""
    record: dict[str, Any] = {}
    for metric, one, two in zip(METRICS, figures, base, strict=True):
        difference = one - (two if domain is None else two.domain(domain))
        record[metric] = difference.mean
        record[f"{metric}_ci95"] = resamples.interval(difference)
    return record


def _differences(
    data: Dataset,
    found: list[Row],
    scored: list[tuple[Scored, Scored]],
    resamples: Resamples,
    differences: list[dict[str, Any]],
) -> None:
    """Every row against the IAK that was chosen on the adaptation days, and its share of the
    gain that training anew has over the frozen base.
    """
    names = [(row.name, row.variant) for row in found]
    if CHOSEN not in names:
        return
    own = scored[names.index(CHOSEN)]
    lines = []
    for (name, variant), other in zip(names, scored, strict=True):
        if (name, variant) == CHOSEN:
            continue
        record = _differing(resamples, own, other)
        differences.append(
            {
                "dataset": data.name,
                "split": data.split,
                "method": CHOSEN[0],
                "rival": name,
                "variant": variant,
                **record,
            }
        )
        cells = []
        for metric in METRICS:
            low, high = record[f"{metric}_ci95"]
            cells.append(f"{record[metric]:+.4f} ({low:+.4f} to {high:+.4f})")
        lines.append([f"{CHOSEN[0]} - {name} ({variant})", *cells])
    print()
    table(["difference", "CTR-AUC", "CTCVR-AUC"], lines)
    base, anew = scored[0], scored[-1]
    for n, metric in enumerate(("CTR-AUC", "CTCVR-AUC")):
        gains = [own[n] - base[n], anew[n] - base[n]]
        low, high = percentiles(resamples.drawn(gains[0]) / resamples.drawn(gains[1]))
        print(
            f"{metric}: {gains[0].mean / gains[1].mean:.2f} of the gain of training anew "
            f"({low:.2f} to {high:.2f})"
        )
