"""What the fork server imports once, so that no case imports it again."""

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
    "tests.faults.child",
)

for name in HEAVY:
    importlib.import_module(name)
