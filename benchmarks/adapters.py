"""Quality of IAK against its rivals, on KuaiRand-Pure and on a simulation with a planted shift.

Every choice is made on the adaptation days. A setting (places, sizes, β, learning rate) is chosen
by a rehearsal over two seeds that ends on the newest adaptation day: early stopping on the day
before gives the epochs, training on all days before the newest one the model, and the newest day
judges. Then early stopping on the newest day gives the epochs, training on all adaptation days
the model, and the test days are scored once.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.common import finish, options, say, table
from benchmarks.datasets import Dataset, Encoded, fresh_users, kuairand, simulation
from benchmarks.intervals import Resamples, Scored
from benchmarks.methods import POOLED, Fitted, Method, Setting, describe, fit, methods
from driftune.console import quiet_exit
from driftune.evaluation.metrics import auc
from driftune.models.adapters import Examples
from driftune.models.backbone import Backbone
from driftune.training import pretrain
from driftune.training.rows import Rows

Scores = tuple[np.ndarray, np.ndarray]


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


def main() -> None:
    """Run the benchmark."""
    quiet_exit()
    parser = options(__doc__ or "", data=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--main", action="store_true", help="leave out the ablations of IAK")
    parser.add_argument("--dataset", choices=["kuairand", "simulation"], default=None)
    given = parser.parse_args()
    seeds = 1 if given.quick else given.seeds
    wanted = [each for each in methods(given.quick) if not (given.main and each.ablation)]
    rows: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        if given.dataset != "simulation":
            data = kuairand(given.data, Path(folder) / "kuairand")
            _measure(data, seeds, wanted, given.quick, rows, differences)
        if given.dataset != "kuairand" and not given.quick:
            data = simulation(Path(folder) / "simulation", 13)
            _measure(data, seeds, wanted, False, rows, differences)
    finish({"benchmark": "adapters", "seeds": seeds, "rows": rows, "differences": differences})


def _measure(
    data: Dataset,
    seeds: int,
    wanted: list[Method],
    quick: bool,
    rows: list[dict[str, Any]],
    differences: list[dict[str, Any]],
) -> None:
    served = data.served
    backbones = {seed: pretrained(data, served, [served.reference], seed) for seed in range(seeds)}
    size = sum(each.numel() for each in backbones[0].parameters())
    found = [_frozen(backbones, served.test)]
    for method in wanted:
        setting = _choose(data, method, backbones)
        row = Row(method.name, method.variant, describe(setting))
        for seed, backbone in backbones.items():
            final = _train(data, setting, backbone, served.adaptation, seed)
            _add(row, _score(setting, final, examples_of(data, served, served.test)))
            row.parameters = final.parameters
            row.seconds.append(final.seconds)
        found.append(row)
        say(f"{data.name}: {row.name} {row.variant} {row.setting}")
    if not quick:
        found.append(_scratch(data, seeds))
    _report(data, found, size, rows, differences)


def pretrained(data: Dataset, encoded: Encoded, parts: Sequence[Rows], seed: int) -> Backbone:
    """A backbone on these rows, as the configuration says, its last epoch kept."""
    config = data.config.model_copy(update={"seed": seed})
    torch.manual_seed(seed)
    model = Backbone(
        encoded.encoder.sizes,
        len(encoded.encoder.numbers),
        config.backbone.embedding,
        config.backbone.hidden,
    )
    pretrain.fit(config, model, joined(parts))
    return model.eval()


def _choose(data: Dataset, method: Method, backbones: dict[int, Backbone]) -> Setting:
    """The setting with the highest mean AUC in the rehearsal, over two seeds."""
    if len(method.settings) == 1:
        return method.settings[0]
    *before, newest = data.served.adaptation
    best, chosen = -1.0, method.settings[0]
    for setting in method.settings:
        values = []
        for seed in list(backbones)[:2]:
            fitted = _train(data, setting, backbones[seed], before, seed)
            scores = _score(setting, fitted, examples_of(data, data.served, newest))
            values.append(_mean_auc(data, newest, scores))
        if np.mean(values) > best:
            best, chosen = float(np.mean(values)), setting
    return chosen


def _train(
    data: Dataset, setting: Setting, backbone: Backbone, days: Sequence[Rows], seed: int
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


def _frozen(backbones: dict[int, Backbone], test: Rows) -> Row:
    row = Row("frozen", "base")
    for backbone in backbones.values():
        with torch.no_grad():
            _add(row, _probabilities(backbone(test.ids, test.numbers)))
        row.seconds.append(0.0)
    return row


def _scratch(data: Dataset, seeds: int) -> Row:
    """The backbone trained anew on all days before the test, with an encoder of those days."""
    renewed = data.renewed
    row = Row("scratch", "all days before the test")
    parts = [renewed.reference, *renewed.adaptation]
    for seed in range(seeds):
        model = pretrained(data, renewed, parts, seed)
        with torch.no_grad():
            _add(row, _probabilities(model(renewed.test.ids, renewed.test.numbers)))
        row.parameters = sum(each.numel() for each in model.parameters())
        row.seconds.append(float("nan"))
    return row


@torch.no_grad()
def _score(setting: Setting, fitted: Fitted, rows: Examples) -> Scores:
    domains = torch.zeros_like(rows.domains) if setting.mode == POOLED else rows.domains
    return _probabilities(fitted.adapted(domains, *rows.inputs, fresh=rows.fresh))


def _probabilities(logits: tuple[torch.Tensor, torch.Tensor]) -> Scores:
    click, convert = (torch.sigmoid(each.double()).numpy() for each in logits)
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
        *(torch.cat([getattr(each, name) for each in parts]) for name in ("ids", "numbers")),
        *(torch.cat([getattr(each, name) for each in parts]) for name in ("click", "convert")),
        *(
            np.concatenate([getattr(each, name) for each in parts])
            for name in ("user", "domain_key", "time")
        ),
    )


def _copy(backbone: Backbone) -> nn.Module:
    model = Backbone(**backbone.shape)
    model.load_state_dict(backbone.state_dict())
    return model.eval()


def _report(
    data: Dataset,
    found: list[Row],
    size: int,
    rows: list[dict[str, Any]],
    differences: list[dict[str, Any]],
) -> None:
    test = data.served.test
    resamples = Resamples(test, data.domains, len(found[0].clicks), 200)
    click = test.click.numpy()
    both = click * test.convert.numpy()
    if not torch.equal(test.click, data.renewed.test.click):
        raise AssertionError("the two encoders order the test rows differently")
    scored: list[tuple[Scored, Scored]] = []
    for row in found:
        scored.append((resamples.score(click, row.clicks), resamples.score(both, row.both)))
    base = scored[0]
    lines = []
    for row, (ctr, ctcvr) in zip(found, scored, strict=True):
        delta = (ctr.points - base[0].points).mean(axis=0)
        record = {
            "dataset": data.name,
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
            "worst_domain_delta": float(delta.min()),
            "by_domain": ctr.points.mean(axis=0).tolist(),
            "setting": row.setting,
        }
        rows.append(record)
        low, high = record["ctr_auc_ci95"]
        lines.append(
            [
                f"{row.name} ({row.variant})",
                f"{ctr.mean:.4f}",
                f"{low:.4f}-{high:.4f}",
                f"{ctcvr.mean:.4f}",
                f"{delta.min():+.4f}",
                f"{row.parameters:,}",
                f"{record['seconds']:.1f}",
            ]
        )
    print(f"\n{data.name}: {len(test):,} test rows, mean of {len(data.domains)} domains")
    table(["method", "CTR-AUC", "95%", "CTCVR-AUC", "worst domain", "parameters", "seconds"], lines)
    _differences(data, found, scored, resamples, differences)


def _differences(
    data: Dataset,
    found: list[Row],
    scored: list[tuple[Scored, Scored]],
    resamples: Resamples,
    differences: list[dict[str, Any]],
) -> None:
    """Every row against the two kinds of IAK that were chosen on the adaptation days."""
    lines = []
    for name, variant in (("iak", "one for all domains"), ("iak_pooled", "place and beta chosen")):
        own = [n for n, row in enumerate(found) if (row.name, row.variant) == (name, variant)]
        for n, other in enumerate(found):
            if not own or n in own:
                continue
            line: list[object] = [f"{name} - {other.name} ({other.variant})"]
            record: dict[str, Any] = {
                "dataset": data.name,
                "method": name,
                "rival": other.name,
                "variant": other.variant,
            }
            for metric, k in (("ctr_auc", 0), ("ctcvr_auc", 1)):
                one, two = scored[own[-1]][k], scored[n][k]
                low, high = resamples.interval(one, two)
                record |= {metric: one.mean - two.mean, f"{metric}_ci95": [low, high]}
                line.append(f"{one.mean - two.mean:+.4f} ({low:+.4f} to {high:+.4f})")
            differences.append(record)
            lines.append(line)
    if lines:
        print()
        table(["difference", "CTR-AUC", "CTCVR-AUC"], lines)


if __name__ == "__main__":
    main()
