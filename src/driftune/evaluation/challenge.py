"""Challenge: champion and challenger of a domain scored on the same held-out newest rows."""

from datetime import date
from typing import Any

import numpy as np

from driftune.config import Config
from driftune.errors import RegistryError
from driftune.evaluation.gate import GateRows, Scores, judge
from driftune.evaluation.slices import traffic_slices
from driftune.logs.encoder import Encoder
from driftune.models.adapters import AdapterBank, AdapterFileError, load_adapter
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.training.finetune import Split, challenger_folder, split_rows
from driftune.training.pretrain import load_model
from driftune.training.scoring import score


def challenge(
    config: Config, ledger: Ledger, decision_id: str, *, confidence: float | None = None
) -> dict[str, Any]:
    """Judge the decision's challenger; returns the gate report as JSON-safe values.

    ``confidence`` as of ``judge``: stricter where several looks or domains share an error rate.

    Raises:
        RegistryError: when the challenger's files are missing or damaged, or the lake is no longer
            the one that it was trained on.
    """
    row = ledger.decision(decision_id)
    encoder, model, backbone = load_model(config)
    day = date.fromisoformat(row.day)
    split = split_rows(config, encoder, row.domain_key, day)
    try:
        adapter, card = load_adapter(challenger_folder(config, decision_id), backbone=backbone)
    except AdapterFileError as error:
        raise RegistryError(f"{decision_id}: the challenger cannot be judged: {error}") from None
    if card.get("lake") != split.lake:
        raise RegistryError(
            f"{decision_id}: the lake changed since the challenger was trained; adapt again"
        )
    champions, bank = champions_for(config, ledger, backbone, [row.domain_key])
    champion = champions[row.domain_key]
    challenger_bank = AdapterBank.from_adapters({row.domain_key: adapter})
    report = judge(
        _rows(config, encoder, split),
        Scores(*score(model, split.gate, bank)),
        Scores(*score(model, split.gate, challenger_bank)),
        config.gate,
        seed=config.seed,
        confidence=confidence,
    )
    return {
        **report.to_dict(),
        "champion_version": champion.version,
        "champion_serves": champion.serves,
        "challenger_sha256": card["sha256"],
        "split": split.to_dict(),
    }


def _rows(config: Config, encoder: Encoder, split: Split) -> GateRows:
    gate, items = split.gate, encoder.fields.index("item")
    earlier = (split.train, split.select)
    return GateRows(
        user=gate.user,
        click=gate.click.numpy().astype(np.int8),
        convert=gate.convert.numpy().astype(np.int8),
        slices=traffic_slices(
            user=gate.user,
            item=gate.ids[:, items].numpy(),
            time=gate.time,
            earlier_user=np.concatenate([rows.user for rows in earlier]),
            earlier_item=np.concatenate([rows.ids[:, items].numpy() for rows in earlier]),
            unseen_items=encoder.buckets,
            zone=config.zone,
        ),
    )
