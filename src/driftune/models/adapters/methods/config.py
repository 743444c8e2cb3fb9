"""What the settings of every fine-tuning method have in common."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import ClassVar, Self, TypeAlias

Setting: TypeAlias = bool | int | float | str


@dataclass(frozen=True)
class KernelConfig:
    """Settings of a method's kernels: JSON-safe values and their way back.

    ``kind`` names the method, in the registry and in the cards of saved adapters.
    """

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Setting]:
        """The settings as JSON-safe values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Setting]) -> Self:
        """Make the settings of ``values``; keys left out take their defaults.

        Raises:
            ValueError: for an unknown key or a wrong value.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(known)}")
        return cls(**values)

    def with_beta(self, beta: float) -> Self:
        """These settings with another weight of the penalty; the same for methods without one."""
        return self


def whole(name: str, value: Setting, least: int) -> None:
    """Check that a setting is a whole number.

    Raises:
        ValueError: naming the setting, its value and what is allowed.
    """
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number, {least} or more")


def real(name: str, value: Setting, least: float) -> None:
    """Check that a setting is a finite number.

    Raises:
        ValueError: naming the setting, its value and what is allowed.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < least
    ):
        raise ValueError(f"{name} is {value!r}; it must be a finite number, {least} or more")
