"""What every section of params.yaml is made of."""

from typing import Annotated, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Given = TypeVar("Given")

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

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_numbers(cls, given: Given, info: ValidationInfo) -> Given:
        """Refuse true and false for a number: they would be 1 and 0."""
        if isinstance(given, bool) and info.field_name is not None:
            annotation = cls.model_fields[info.field_name].annotation
            kinds = {annotation, *get_args(annotation)}
            if kinds & {int, float} and bool not in kinds:
                raise ValueError("must be a number")
        return given
