"""Quality of IAK against its rivals, on KuaiRand-Pure and on a simulation with a planted shift.

Every choice is made on the adaptation days. A setting (places, sizes, β, learning rate) is chosen
by a rehearsal over three seeds that ends on the newest adaptation day: early stopping on the day
before gives the epochs, training on all days before the newest one the model, and the newest day
judges. Then early stopping on the newest day gives the epochs, training on all adaptation days
the model, and the test days are scored once.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.adapter_report import Row, report
from benchmarks.common import finish, options, say, there, with_device
from benchmarks.datasets import SPLITS, Dataset, Encoded, fresh_users, kuairand, simulation
from benchmarks.methods import Fitted, fit, methods, served_by
from benchmarks.settings import Method, Setting, describe
from driftune.cli.console import quiet_exit
from driftune.evaluation.metrics import auc
from driftune.models.adapters import Examples
from driftune.models.adapters.devices import HOST, device_of
from driftune.models.esmm import ESMM
from driftune.training import fitting
from driftune.training.devices import name_of
from driftune.training.ranks import Ranks
from driftune.training.rows import Rows

Scores = tuple[np.ndarray, np.ndarray]
REHEARSALS = 3


class Plan(NamedTuple):
    """What is run of the benchmark: how many seeds, where, and which rows.

    ``rehearsals``: seeds that settings are chosen by; ``rows``: names and variants, None for all.
    """

    seeds: int
    rehearsals: int
    device: torch.device
    main_only: bool
    quick: bool
    rows: list[str] | None

    def of(self, every: Sequence[Method]) -> list[Method]:
        """The rows that are run.

        Raises:
            SystemExit: when one that was asked for is not there.
        """
        wanted = [each for each in every if not (self.main_only and each.ablation)]
        if self.rows is None:
            return wanted
        names = {f"{each.name} {each.variant}": each for each in wanted}
        missing = [name for name in self.rows if name not in names]
        if missing:
            raise SystemExit(f"--rows: no {missing[0]!r}; there are: {', '.join(names)}")
        return [names[name] for name in self.rows]


def main() -> None:
    """Run the benchmark."""
    quiet_exit()
    parser = with_device(options(__doc__ or "", data=True))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--main", action="store_true", help="leave out the ablations of IAK")
    parser.add_argument("--dataset", choices=["kuairand", "simulation"], default=None)
    parser.add_argument("--split", choices=[*SPLITS], default=None, help="one of KuaiRand-Pure's")
    parser.add_argument("--rehearsals", type=int, default=REHEARSALS, help="seeds of a rehearsal")
    parser.add_argument(
        "--rows", nargs="+", help="these rows alone: 'lora matched' 'full_pooled all'"
    )
    given = parser.parse_args()
    seeds = 1 if given.quick else given.seeds
    plan = Plan(seeds, given.rehearsals, there(given.device), given.main, given.quick, given.rows)
    rows: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        if given.dataset != "simulation":
            for split in _splits(given.split, given.quick):
                data = kuairand(given.data, Path(folder) / split, split)
                _measure(data, plan, rows, differences)
        if given.dataset != "kuairand" and not given.quick:
            data = simulation(Path(folder) / "simulation", 13)
            _measure(data, plan, rows, differences)
    finish(
        {
            "benchmark": "adapters",
            "device": name_of(plan.device),
            "seeds": seeds,
            "rehearsals": min(seeds, plan.rehearsals),
            "rows": rows,
            "differences": differences,
        }
    )


def _splits(given: str | None, quick: bool) -> list[str]:
    """The splits to run: the one that was given, or all; a quick run has the first alone."""
    if given is not None:
        return [given]
    return [*SPLITS][:1] if quick else [*SPLITS]


def _measure(
    data: Dataset, plan: Plan, rows: list[dict[str, Any]], differences: list[dict[str, Any]]
) -> None:
    served, device = data.served, plan.device
    backbones = {
        seed: pretrained(data, served, [served.reference], seed, device)
        for seed in range(plan.seeds)
    }
    size = sum(each.numel() for each in backbones[0].parameters())
    found = [_frozen(backbones, served.test)]
    for method in plan.of(methods(backbones[0], len(data.domains), plan.quick)):
        setting = _choose(data, method, backbones, plan.rehearsals)
        row = Row(method.name, method.variant, describe(setting))
        for seed, backbone in backbones.items():
            final = _train(data, setting, backbone, served.adaptation, seed)
            _add(row, _score(setting, final, examples_of(data, served, served.test)))
            row.parameters = final.parameters
            row.seconds.append(final.seconds)
        found.append(row)
        say(f"{data.name}, {data.split}: {row.name} {row.variant} {row.setting}")
    if not plan.quick:
        found.append(_scratch(data, plan.seeds, device))
    report(data, found, size, rows, differences)


def pretrained(
    data: Dataset,
    encoded: Encoded,
    parts: Sequence[Rows],
    seed: int,
    device: torch.device = HOST,
) -> ESMM:
    """A backbone on these rows, as the configuration says, its last epoch kept."""
    config = data.config.model_copy(update={"seed": seed})
    torch.manual_seed(seed)
    model = ESMM(
        encoded.encoder.sizes,
        len(encoded.encoder.numbers),
        config.backbone.embedding,
        config.backbone.hidden,
    ).to(device)
    fitting.fit(config, model, joined(parts), group=Ranks(device=str(device)))
    return model.eval()


def _choose(
    data: Dataset, method: Method, backbones: dict[int, ESMM], rehearsals: int = REHEARSALS
) -> Setting:
    """The setting with the highest mean AUC in the rehearsal, over some seeds."""
    if len(method.settings) == 1:
        return method.settings[0]
    *before, newest = data.served.adaptation
    best, chosen = -1.0, method.settings[0]
    for setting in method.settings:
        values = []
        for seed in list(backbones)[:rehearsals]:
            fitted = _train(data, setting, backbones[seed], before, seed)
            scores = _score(setting, fitted, examples_of(data, data.served, newest))
            values.append(_mean_auc(data, newest, scores))
        if np.mean(values) > best:
            best, chosen = float(np.mean(values)), setting
    return chosen


def _train(
    data: Dataset, setting: Setting, backbone: ESMM, days: Sequence[Rows], seed: int
) -> Fitted:
    """Epochs by early stopping on the newest of the days, then a training on all of them."""
    examples = [
        examples_of(data, data.served, joined(part)) for part in (days[:-1], days[-1:], days)
    ]
    older, newest, everything = examples
    first = fit(setting, _copy(backbone), older, newest, data.domains, seed)
    final = fit(
        setting,
        _copy(backbone),
        everything,
        None,
        data.domains,
        seed,
        first.epochs,
        first.pooled_epochs,
    )
    return replace(final, seconds=first.seconds + final.seconds)


def _frozen(backbones: dict[int, ESMM], test: Rows) -> Row:
    row = Row("frozen", "base")
    for backbone in backbones.values():
        with torch.no_grad():
            _add(row, _base(backbone, test))
        row.seconds.append(0.0)
    return row


def _scratch(data: Dataset, seeds: int, device: torch.device) -> Row:
    """The backbone trained anew on all days before the test, with an encoder of those days."""
    renewed = data.renewed
    row = Row("scratch", "all days before the test")
    parts = [renewed.reference, *renewed.adaptation]
    for seed in range(seeds):
        started = time.perf_counter()
        model = pretrained(data, renewed, parts, seed, device)
        row.seconds.append(time.perf_counter() - started)
        with torch.no_grad():
            _add(row, _base(model, renewed.test))
        row.parameters = sum(each.numel() for each in model.parameters())
    return row


@torch.no_grad()
def _score(setting: Setting, fitted: Fitted, rows: Examples) -> Scores:
    rows = served_by(setting.mode, rows)
    device = device_of(fitted.adapted.model)
    fresh = None if rows.fresh is None else rows.fresh.to(device)
    inputs = (each.to(device) for each in rows.inputs)
    return _probabilities(fitted.adapted(rows.domains, *inputs, fresh=fresh))


def _base(model: ESMM, rows: Rows) -> Scores:
    device = device_of(model)
    return _probabilities(model(rows.ids.to(device), rows.numbers.to(device)))


def _probabilities(logits: tuple[torch.Tensor, torch.Tensor]) -> Scores:
    click, convert = (torch.sigmoid(each.cpu().double()).numpy() for each in logits)
    return click, click * convert


def _add(row: Row, scores: Scores) -> None:
    row.clicks.append(scores[0])
    row.both.append(scores[1])


def _mean_auc(data: Dataset, rows: Rows, scores: Scores) -> float:
    """Mean over domains and over both AUCs."""
    click = rows.click.numpy()
    both = click * rows.convert.numpy()
    masks = [rows.domain_key == domain for domain in data.domains]
    values = [
        auc(labels[mask], score[mask])
        for mask in masks
        for labels, score in ((click, scores[0]), (both, scores[1]))
    ]
    return float(np.nanmean(values))


def examples_of(data: Dataset, encoded: Encoded, rows: Rows) -> Examples:
    """The rows with the place of their domain in ``data.domains`` as id, −1 for any other."""
    names = np.array(data.domains)
    order = np.argsort(names)
    place = np.searchsorted(names[order], rows.domain_key).clip(max=len(names) - 1)
    ids = np.where(names[order][place] == rows.domain_key, order[place], -1)
    return Examples(
        (rows.ids, rows.numbers),
        (rows.click, rows.convert),
        torch.from_numpy(ids.astype(np.int64)),
        fresh_users(encoded, rows),
    )


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts, one after the other."""
    return Rows(
        ids=torch.cat([part.ids for part in parts]),
        numbers=torch.cat([part.numbers for part in parts]),
        click=torch.cat([part.click for part in parts]),
        convert=torch.cat([part.convert for part in parts]),
        user=np.concatenate([part.user for part in parts]),
        domain_key=np.concatenate([part.domain_key for part in parts]),
        time=np.concatenate([part.time for part in parts]),
        request=np.concatenate([part.request for part in parts]),
        position=np.concatenate([part.position for part in parts]),
        propensity=np.concatenate([part.propensity for part in parts]),
    )


def _copy(backbone: ESMM) -> nn.Module:
    model = ESMM(**backbone.shape)  # type: ignore[arg-type]
    model.load_state_dict(backbone.state_dict())
    return model.to(device_of(backbone)).eval()


if __name__ == "__main__":
    main()
