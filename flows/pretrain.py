"""Pre-train: the DVC pipeline, for what has changed of reference data, code or parameters."""

from typing import Any

from prefect import flow

from driftune.params import load_config
from tasks import notices, pretraining


@flow(name="pretrain", on_failure=[notices.tell_failed])
def pretrain(config: str = "params.yaml") -> dict[str, Any]:
    """Reproduce the pipeline; a new backbone queues its adapters' domains for a fine-tune.

    They are queued by the next day's decisions; until then the frozen base serves.
    """
    return pretraining.reproduce_pipeline(load_config(config))
