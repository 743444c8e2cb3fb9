"""The section ``registry`` of params.yaml."""

from pydantic import Field

from driftune.config.base import Positive, Section


class Registry(Section):
    """Where decisions and adapter versions live; by default files in the workspace."""

    ledger: str | None = Field(None, repr=False)
    """URL of a PostgreSQL ledger; null: SQLite in the workspace."""
    mlflow: str | None = Field(None, repr=False)
    """URL of an MLflow server; null: SQLite in the workspace."""
    experiment: str = "driftune"
    """Name of MLflow's experiment."""
    lease_minutes: Positive = 60
    """Minutes after which the claim of a run that died on another machine is free."""
