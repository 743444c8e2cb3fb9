"""What of the section ``adapter`` names a training job of the user's own."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from driftune.config.base import Section

Word = Annotated[str, Field(min_length=1)]


class Trainer(Section):
    """A training job of your own in the place of the built-in fine-tuning: a command, or a
    deployment of Prefect. It gets a JSON file that names the rows, and leaves an adapter.
    """

    command: list[Word] | None = Field(None, min_length=1)
    """Program and arguments, run in the folder of this file; the path of the JSON file follows
    them, and stands in the variable `DRIFTUNE_JOB`.
    """
    deployment: str | None = None
    """`FLOW/DEPLOYMENT` of Prefect, which gets the path of the JSON file as its parameter `job`."""
    timeout_minutes: float = Field(60, gt=0)
    """Minutes after which the job is ended."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.command is None) == (self.deployment is None):
            raise ValueError("names a command or a deployment: write one of them")
        if self.deployment is not None and [*map(bool, self.deployment.split("/"))] != [True, True]:
            raise ValueError(
                f"deployment = {self.deployment!r} is none: write the names of flow and deployment "
                "with a / between them"
            )
        return self

    @property
    def kind(self) -> str:
        """What runs the job."""
        return "deployment" if self.command is None else "command"
