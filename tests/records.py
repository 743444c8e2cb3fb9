"""Documents of a decision written as plain values, made the records that the ledger takes."""

from typing import Any

from driftune.registry.records import GateReport, Scores, TrainingFigures

KINDS = {"scores": Scores, "gate": GateReport, "training": TrainingFigures}


def as_records(values: dict[str, Any]) -> dict[str, Any]:
    """Values of a decision, its documents as records."""
    return {
        name: KINDS[name].model_validate(value) if isinstance(value, dict) else value
        for name, value in values.items()
    }
