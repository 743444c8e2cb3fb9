"""Where the domains of a day are worked on, and what one of them may take."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypedDict

from pydantic import BeforeValidator, Field, field_validator

from driftune.config.base import Positive, Section

UNITS = {"MB": 10**6, "GB": 10**9}


class RayOptions(TypedDict, total=False):
    """Ray's options of a task; ``memory`` in bytes."""

    num_cpus: float
    num_gpus: float
    memory: int
    resources: dict[str, float]


class Needs(Section):
    """What Ray sets aside for a domain: CPUs, GPUs, memory, and resources that nodes declare.

    A fraction of a GPU lets several domains share one.
    """

    cpus: float = Field(1.0, ge=0, allow_inf_nan=False)
    """CPUs."""
    gpus: float = Field(0.0, ge=0, allow_inf_nan=False)
    """GPUs; 0.25 lets four domains share one."""
    memory: str | None = Field(None, pattern=r"^[1-9][0-9]*(\.[0-9]+)?(MB|GB)$")
    """Memory, such as `8GB`."""
    resources: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    """Resources that the nodes declare."""

    @field_validator("gpus")
    @classmethod
    def _whole_above_one(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError("must be a whole number where it is above 1")
        return gpus

    def options(self) -> "RayOptions":
        """The same under Ray's names, memory in bytes."""
        options: RayOptions = {"num_cpus": self.cpus, "num_gpus": self.gpus}
        if self.memory is not None:
            options["memory"] = int(float(self.memory[:-2]) * UNITS[self.memory[-2:]])
        if self.resources:
            options["resources"] = dict(self.resources)
        return options

    def at_once(self, has: Mapping[str, float]) -> int:
        """How many tasks of these needs a cluster takes at once, one at least; ``has``: what it has
        of each resource, by Ray's names."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, **self.resources}
        if self.memory is not None:
            wanted["memory"] = float(self.options()["memory"])
        fits = [has.get(name, 0.0) // each for name, each in wanted.items() if each > 0]
        return max(1, int(min(fits, default=has.get("CPU", 1.0))))


class Runner(Section):
    """Drift and adaptation over a day's domains: on threads of the flow's process, adaptation on
    processes beside it (as many as there are cores, by default), or both on Ray.

    ``address`` of the cluster: ``host:port`` or ``ray://host:port``; without it the environment's
    RAY_ADDRESS counts, and without that a cluster of this machine is started for the run.
    ``domains`` changes what single domains (by name) need.
    """

    kind: Literal["threads", "processes", "ray"] = "threads"
    """Threads of the flow's process, processes beside it, or Ray."""
    threads: Positive = 4
    """Domains at once on threads."""
    processes: Positive | None = None
    """Adaptations at once on processes; null: as many as cores."""
    address: str | None = Field(None, min_length=1)
    """`host:port` or `ray://host:port` of the cluster."""
    needs: Needs = Needs()
    """What Ray sets aside for a domain."""
    domains: dict[str, Needs] = {}
    """The same of single domains, by name."""

    def options(self, domain: str) -> RayOptions:
        """What a domain's task needs, as Ray's options."""
        own = self.domains.get(domain)
        changed = {} if own is None else {key: getattr(own, key) for key in own.model_fields_set}
        return self.needs.model_copy(update=changed).options()


GivenRunner = str | dict[str, str | int | dict[str, float]] | Runner


def _kind_alone(given: GivenRunner) -> GivenRunner:
    return {"kind": given} if isinstance(given, str) else given


# ``runner: ray`` is enough.
RunnerRole = Annotated[Runner, BeforeValidator(_kind_alone)]
