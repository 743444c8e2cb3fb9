"""The task of pre-training: DVC's pipeline."""

from prefect import task

from driftune.config import Config
from driftune.training.pipeline import Reproduced, reproduce
from tasks.policy import LONG


@task(task_run_name="dvc repro", **LONG)
def reproduce_pipeline(config: Config) -> Reproduced:
    """Run the pipeline where something has changed."""
    return reproduce(config)
