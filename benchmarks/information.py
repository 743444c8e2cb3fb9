"""The information report of trained adapters: bits that each domain keeps of what the base knows.

KuaiRand-Pure, the pooled adapter and each domain's own from it; with ``--out`` as a picture.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.adapters import examples_of, joined, pretrained
from benchmarks.common import finish, options, table
from benchmarks.datasets import kuairand
from benchmarks.methods import fit
from benchmarks.settings import FIRST, FIRST_POOLED, IAK, RATES, Setting
from driftune.cli.console import quiet_exit
from driftune.models.adapters import TrainConfig


def main() -> None:
    """Run the benchmark."""
    quiet_exit()
    parser = options(__doc__ or "", data=True)
    parser.add_argument("--out", type=Path, help="picture to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = kuairand(given.data, Path(folder) / "kuairand")
    served = data.served
    *before, newest = served.adaptation
    torch.manual_seed(0)
    backbone = pretrained(data, served, [served.reference], 0)
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for beta in (0.0,) if given.quick else (0.0, 1e-4, 1e-3):
        setting = Setting(
            replace(IAK, beta=beta),
            FIRST,
            TrainConfig(epochs=12, patience=3, batch_size=512, learning_rate=RATES[0]),
            FIRST_POOLED,
        )
        older = examples_of(data, served, joined(before))
        fitted = fit(setting, backbone, older, examples_of(data, served, newest), data.domains, 0)
        found[f"{beta:g}"] = fitted.bits
        fitted.adapted.detach()
    lines = [
        [f"beta {beta}: {domain}", *(f"{sum(bits):.2f}" for bits in places.values())]
        for beta, domains in found.items()
        for domain, places in domains.items()
    ]
    table(["adapter", *(f"bits at {place}" for place in FIRST)], lines)
    if given.out:
        _draw(found, given.out)
    finish({"benchmark": "information", "bits": found})


def _draw(found: dict[str, dict[str, dict[str, list[float]]]], path: Path) -> None:
    """A row of panels for each β: bits of each dimension, the largest first, by domain."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    figure, axes = pyplot.subplots(
        len(found),
        len(FIRST),
        figsize=(10, 2.3 * len(found)),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    norm = PowerNorm(0.5, 0, 10)
    for row, (beta, domains) in zip(axes, found.items(), strict=True):
        for axis, place in zip(row, FIRST, strict=True):
            values = np.array([sorted(places[place], reverse=True) for places in domains.values()])
            axis.imshow(values, norm=norm, cmap="viridis", aspect="auto")
            names = [
                f"{domain.rsplit('-', 1)[0]}  {sum(places[place]):.1f}"
                for domain, places in domains.items()
            ]
            axis.set_yticks(range(len(names)), names, fontsize=8)
            axis.set_xticks(range(0, values.shape[1], 2))
            axis.set_title(f"β = {beta}, {place.split('_')[0]} tower", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("dimension of z, most informative first", fontsize=8)
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, label="KL in bits", shrink=0.6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
