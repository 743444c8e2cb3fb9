"""What the fork server imports once, so that no process of a test imports it again.

``KEY`` names in the environment who asks: processes that race for a ledger need a tenth of what
those do that live a whole day.
"""

import gc
import importlib
import os

from tests.forks import KEY

LIGHT = (
    "alembic.command",
    "alembic.util",
    "deltalake",
    "driftune.intake.release",
    "tests.registry.conftest",
)
WHOLE = (
    *LIGHT,
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
    "driftune.retention.erase",
    "driftune.retention.prune",
    "tests.faults.child",
    "tests.faults.trials",
)

# All that is imported stays.
gc.disable()
for name in WHOLE if os.environ.get(KEY) == "whole" else LIGHT:
    importlib.import_module(name)

# A collection in a child would walk, and copy, all of it.
gc.collect()
gc.freeze()
gc.enable()
