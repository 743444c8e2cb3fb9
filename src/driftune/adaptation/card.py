"""Cards: what a challenger's files say of where it comes from."""

from pydantic import JsonValue

from driftune.adaptation.workbench import Workbench
from driftune.registry.records import TrainingFigures


def challenger_card(bench: Workbench, figures: TrainingFigures) -> dict[str, JsonValue]:
    """What the challenger's files say of where it comes from."""
    row = bench.decision
    return {
        "lake": bench.split.lake,
        "domain": row.domain,
        "domain_key": row.domain_key,
        "decision": row.id,
        "backbone": bench.served.backbone,
        "encoder": bench.served.encoder.fingerprint,
        "data_version": row.data_version,
        "seed": bench.seed,
        "training": figures.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }
