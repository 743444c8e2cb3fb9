"""Detect: the day's drift decision of every domain, written to the ledger."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from driftune.config import Config
from driftune.drift.distances import compare
from driftune.drift.policy import Judgement, insufficient, judge
from driftune.drift.windows import read_newest, read_window, windows_path, write_windows
from driftune.errors import LedgerError
from driftune.files import write_json
from driftune.logs.duck import connect
from driftune.logs.lake import Lake
from driftune.registry.champions import Champion, champions_for
from driftune.registry.ledger import BASE, Ledger
from driftune.training.pretrain import load_model
from driftune.workspace import Workspace


@dataclass(frozen=True)
class DomainWindow:
    """What one domain's drift measurement needs, as plain values."""

    domain: str
    key: str
    day: date
    revision: int
    backbone: str
    champion: int
    reference: list[date]
    newest: list[date]
    counts: dict[str, int]
    data_version: str

    @property
    def decision_id(self) -> str:
        """The decision's id: one per domain, day, revision of the day, and backbone."""
        return f"{self.day}.{self.key}.r{self.revision}.{self.backbone[:8]}"


def draw_windows(config: Config, ledger: Ledger, day: date) -> list[DomainWindow]:
    """Draw the windows of every domain of the day that has no decision yet.

    Domains whose champion was trained on the day itself, or on later ones, get none.

    Raises:
        LedgerError: when the day was not ingested.
    """
    record = ledger.day(day)
    if record is None:
        raise LedgerError(f"{day} is not in the lake; run driftune run --day {day}")
    encoder, model, backbone = load_model(config)
    view = Lake.of(config)
    rows = view.relation([day])
    with connect() as con:
        domains = con.execute(
            f"SELECT DISTINCT domain_key, domain FROM {rows} ORDER BY 1"
        ).fetchall()
        ((hours,),) = con.execute(f"SELECT count(DISTINCT hour) FROM {rows}").fetchall()
    champions, bank = champions_for(config, ledger, backbone, [key for key, _ in domains])
    windows = [
        DomainWindow(
            domain=domain,
            key=key,
            day=day,
            revision=record.revision,
            backbone=backbone,
            champion=champions[key].serves,
            reference=champions[key].reference,
            newest=_newest(config, champions[key]),
            counts={},
            data_version=view.version([day, *champions[key].reference]),
        )
        for key, domain in domains
    ]
    decided = {row.id for row in _decided(ledger, day)}
    # A day that the champion was trained on, or one before, says nothing about drift since then.
    windows = [
        window
        for window in windows
        if window.decision_id not in decided and day > max(window.reference)
    ]
    if not windows:
        return []
    counts = write_windows(
        config,
        day,
        {window.key: window.reference for window in windows},
        encoder,
        model,
        bank,
        {window.key: window.newest for window in windows if window.newest},
    )
    whole_day = {"current_hours": hours}
    return [
        replace(window, counts={**counts.get(window.key, {}), **whole_day}) for window in windows
    ]


def _newest(config: Config, champion: Champion) -> list[date]:
    """The reference days that the frozen base's predictions are compared with.

    On its first reference days the counters are empty or young, and most of the rows trained it:
    both move its predictions. As many of the newest days as an adapter's reference has do not.
    """
    return champion.reference[-config.adapter.train_days :] if champion.serves == BASE else []


def measure_domain(config: Config, window: DomainWindow) -> Judgement:
    """Measure one domain's drift and judge it; keeps Evidently's figures, and its page on alert."""
    workspace = Workspace(config)
    small = insufficient(config, window.counts)
    if small is not None:
        return small
    path = windows_path(config, window.day)
    compared = compare(config, *read_window(path, window.key), read_newest(path, window.key))
    write_json(workspace.drift(window.day, window.key), compared.record)
    judgement = judge(config, compared.record)
    wanted = config.drift.html
    if wanted == "all" or (wanted == "alerts" and judgement.state == "drifted"):
        compared.write_page(workspace.drift_page(window.day, window.key))
    return judgement


def decide_domain(config: Config, ledger: Ledger, window: DomainWindow) -> str:
    """Measure one domain and write its decision to the ledger once; returns the decision's id."""
    judgement = measure_domain(config, window)
    row, _ = ledger.decide(
        id=window.decision_id,
        domain=window.domain,
        domain_key=window.key,
        day=window.day.isoformat(),
        revision=window.revision,
        backbone=window.backbone,
        state="pending" if judgement.state == "drifted" else judgement.state,
        score=judgement.score,
        scores={
            **judgement.scores,
            "reference": [day.isoformat() for day in window.reference],
            "newest": [day.isoformat() for day in window.newest],
        },
        sentence=judgement.sentence,
        data_version=window.data_version,
        champion_version=window.champion,
    )
    return row.id


def write_drift_page(config: Config, ledger: Ledger, decision_id: str) -> None:
    """Write Evidently's page of a past decision, from the windows kept then.

    Raises:
        LedgerError: when there is no such decision, a newer one of its domain and day has taken
            the place of its windows, or there is nothing in them to compare.
    """
    row = ledger.decision(decision_id)
    day = date.fromisoformat(row.day)
    path = windows_path(config, day)
    same = [other for other in _decided(ledger, day) if other.domain_key == row.domain_key]
    if not path.exists() or any(other.decided_at > row.decided_at for other in same):
        raise LedgerError(f"{decision_id}: its windows are no longer kept")
    current, reference = read_window(path, row.domain_key)
    if current.empty or reference.empty:
        raise LedgerError(f"{decision_id}: its windows hold nothing to compare")
    compared = compare(config, current, reference, read_newest(path, row.domain_key))
    compared.write_page(Workspace(config).drift_page(day, row.domain_key))


def _decided(ledger: Ledger, day: date) -> list[Any]:
    from driftune.registry.schema import decisions

    return ledger.decisions(decisions.c.day == day.isoformat())
