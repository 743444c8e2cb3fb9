"""What every section of params.yaml is made of."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] < bounds[1]:
        raise ValueError("the first bound must be below the second")
    return bounds


RISING = AfterValidator(_rising)
Bound = Annotated[float, Field(allow_inf_nan=False)] | None


def _not_crossed(bounds: tuple[Bound, Bound]) -> tuple[Bound, Bound]:
    low, high = bounds
    if low is not None and high is not None and low > high:
        raise ValueError("the first bound must not lie above the second")
    return bounds


RANGE = AfterValidator(_not_crossed)


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
