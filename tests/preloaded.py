"""What the fork server imports once, so that no process of a test imports it again."""

import gc
import importlib

HEAVY = (
    "alembic.command",
    "alembic.util",
    "deltalake",
    "evidently",
    "evidently.presets",
    "evidently.metrics",
    "evidently.ui.workspace",
    "great_expectations",
    "mlflow.exceptions",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking",
    "sklearn.metrics",
    # What torch's optimisers import when the first one is made.
    "torch._dynamo",
    "driftune.intake.release",
    "driftune.retention.erase",
    "driftune.retention.prune",
    "tests.faults.child",
    "tests.faults.trials",
)

# All that is imported stays.
gc.disable()
for name in HEAVY:
    importlib.import_module(name)

# A collection in a child would walk, and copy, all of it.
gc.collect()
gc.freeze()
gc.enable()
