"""How good the frozen base is by domain, beside plain baselines, and what is wrong with it."""

import csv
import io
import logging
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.evaluation.baselines import (
    CALIBRATED,
    BaseFigures,
    Impressions,
    base_figures,
    domain_rates,
    item_position_rates,
)
from driftune.features.encoder import Encoder
from driftune.io import read_json, write_sealed, write_text
from driftune.lake.duck import connect
from driftune.lake.table import Lake
from driftune.training.base_record import BaseProblem, base_record
from driftune.training.holdout import more_held_out
from driftune.training.rows import Rows

log = logging.getLogger("driftune")


def judge_base(
    config: Config,
    encoder: Encoder,
    train: Rows,
    held_out: Rows,
    p_click: np.ndarray,
    ranked: np.ndarray | None = None,
) -> list[BaseProblem]:
    """Write each domain's figures (``by_domain.csv``) and what is wrong; returns and warns of it.

    ``p_click``: the base's probabilities of a click on the held-out rows where they were shown,
    (n,); ``ranked``: what it ranks them by, by default the same.
    """
    item = encoder.fields.index("item")
    names, domain = np.unique(
        np.concatenate([train.domain_key, held_out.domain_key]), return_inverse=True
    )
    seen = _impressions(train, domain[: len(train)], item)
    asked = _impressions(held_out, domain[len(train) :], item)
    rates, items = domain_rates(seen, asked), item_position_rates(seen, asked)
    ranked = p_click if ranked is None else ranked
    found = {}
    for number, key in enumerate(names):
        there = asked.domain == number
        found[str(key)] = base_figures(
            asked.click[there], p_click[there], rates[there], items[there], ranked[there]
        )
    folder = Workspace(config).model
    _write_table(folder / "by_domain.csv", found)
    called = _names(config)
    problems: list[BaseProblem] = [
        {"domain": called.get(key, key), "key": key, "told": told}
        for key, figures in found.items()
        if (told := _problem(config, figures))
    ]
    made = read_json(folder / "backbone" / "made.json")
    said = {"problems": problems, "id_dropout": made.get("id_dropout", {})}
    write_sealed(base_record(config), said)
    for problem in problems[:3]:
        log.warning("the base on %s: %s", problem["domain"], problem["told"])
    if len(problems) > 3:
        log.warning("and %d domains more, see %s", len(problems) - 3, folder / "by_domain.csv")
    return problems


def _problem(config: Config, figures: BaseFigures) -> str | None:
    if figures.rows == 0:
        return (
            "none of the held-out rows is of it, so that nothing says how good it is; "
            f"{more_held_out(config)}"
        )
    said = []
    if figures.worse_than:
        of_domain = figures.worse_than == "the domain's rate"
        least = figures.domain_log_loss if of_domain else figures.item_log_loss
        said.append(
            f"it predicts clicks worse than {figures.worse_than} alone (log loss "
            f"{figures.log_loss:.4f}, {least:.4f})"
        )
    if figures.miscalibrated and not figures.clicks:
        said.append(f"it predicts {figures.predicted:.0f} clicks where there was none")
    elif figures.miscalibrated:
        said.append(
            f"it predicts {figures.calibration:.2f} clicks for each one ({CALIBRATED[0]:g} to "
            f"{CALIBRATED[1]:g} is sound)"
        )
    if not said:
        return None
    where = f"on {figures.rows:,} held-out rows"
    return f"{where} {' and '.join(said)}; name more reference days, or see to columns and features"


def _impressions(rows: Rows, domain: np.ndarray, item: int) -> Impressions:
    return Impressions(
        rows.click.numpy().astype(np.float64), domain, rows.ids[:, item].numpy(), rows.position
    )


def _write_table(path: Path, found: dict[str, BaseFigures]) -> None:
    table = io.StringIO()
    names = [field.name for field in fields(BaseFigures)]
    shown = {"auc": "ctr_auc"}
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["domain_key", *(shown.get(name, name) for name in names)])
    for key, figures in found.items():
        writer.writerow([key, *asdict(figures).values()])
    write_text(path, table.getvalue())


def _names(config: Config) -> dict[str, str]:
    """The names of the reference days' domains, by key."""
    view = Lake.of(config)
    with connect(reach=[view.place]) as con:
        rows = con.execute(
            f"SELECT DISTINCT domain FROM {view.relation(config.reference.days)}"
        ).fetchall()
    return {domain_key(name): name for (name,) in rows}
