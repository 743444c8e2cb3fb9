"""Pre-train: the DVC pipeline, for what has changed of reference data, code or parameters."""

from prefect import flow
from prefect.runtime import flow_run

from driftune.config.loading import load_config
from driftune.observe.run import observed
from driftune.training.pipeline import Reproduced
from tasks import notices, pretraining


@flow(name="pretrain", on_failure=[notices.tell_failed], on_crashed=[notices.tell_failed])
def pretrain(config: str = "params.yaml") -> Reproduced:
    """Reproduce the pipeline; a new backbone queues its adapters' domains for a fine-tune.

    They are queued by the next day's decisions; until then the frozen base serves.
    """
    settings = load_config(config)
    with observed(settings, "pretrain", run=flow_run.name):
        return pretraining.reproduce_pipeline(settings)
