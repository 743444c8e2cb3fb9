"""What the fork server imports once, so that no process of a test imports it again."""

import importlib

HEAVY = (
    "alembic.util",
    "evidently",
    "evidently.presets",
    "evidently.metrics",
    "evidently.ui.workspace",
    "great_expectations",
    "mlflow.exceptions",
    "mlflow.tracking",
    "sklearn.metrics",
    "driftune.intake.release",
    "driftune.retention.erase",
    "driftune.retention.prune",
    "tests.faults.child",
)

for name in HEAVY:
    importlib.import_module(name)
