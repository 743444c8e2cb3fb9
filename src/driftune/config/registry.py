"""The section ``registry`` of params.yaml."""

from pydantic import Field

from driftune.config.base import Positive, Section


class Registry(Section):
    """Where decisions and adapter versions live; by default files in the workspace."""

    ledger: str | None = Field(None, repr=False)
    mlflow: str | None = Field(None, repr=False)
    experiment: str = "driftune"
    lease_minutes: Positive = 60
