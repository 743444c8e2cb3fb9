"""One pydantic tree for params.yaml; a wrong value fails before anything runs."""

from datetime import date
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, PrivateAttr, field_validator, model_validator

from driftune.config.adapter import Adapter
from driftune.config.backbone import Backbone
from driftune.config.base import Section
from driftune.config.columns import Columns
from driftune.config.drift import Drift
from driftune.config.features import Domains, Features
from driftune.config.gate import Gate
from driftune.config.guard import Guard
from driftune.config.notify import Notify
from driftune.config.observe import Observe
from driftune.config.quality import Quality
from driftune.config.registry import Registry
from driftune.config.retention import Retention
from driftune.config.runner import Runner, RunnerRole
from driftune.config.source import Reference, Resources, Source


class Config(Section):
    """The whole of params.yaml. Relative paths are relative to the folder of the file.

    ``lake``: the folder or URL of an object store (``s3://…``, ``gs://…``) of the Delta table,
    which by default is in the workspace.
    """

    workspace: str = "workspace"
    lake: str | None = Field(None, min_length=1)
    timezone: str = "UTC"
    seed: int = Field(7, ge=0)
    trigger: Literal["inline", "event"] = "inline"
    review: Literal["none", "first"] = "none"
    source: Source
    resources: Resources = Resources()
    runner: RunnerRole = Runner()
    reference: Reference
    columns: Columns
    domains: Domains = Domains()
    features: Features = Features()
    backbone: Backbone = Backbone()
    quality: Quality = Quality()
    drift: Drift = Drift()
    adapter: Adapter = Adapter()
    gate: Gate = Gate()
    guard: Guard = Guard()
    registry: Registry = Registry()
    notify: Notify = Notify()
    observe: Observe = Observe()
    retention: Retention = Retention()

    _file: Path = PrivateAttr(default_factory=lambda: Path("params.yaml").resolve())

    @field_validator("lake")
    @classmethod
    def _lake_opens(cls, lake: str | None) -> str | None:
        if lake is None or "://" not in lake:
            return lake
        parts = urlsplit(lake)
        if parts.scheme not in ("s3", "gs") or not parts.netloc or "@" in parts.netloc:
            raise ValueError(
                "must be a folder or a bucket (s3://NAME/lake or gs://NAME/lake); credentials "
                "belong into the environment"
            )
        return lake

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError("must be an IANA time zone such as Europe/Berlin")
        return zone

    @model_validator(mode="after")
    def _shares_fit(self) -> "Config":
        if self.adapter.gate_share + self.adapter.select_share >= 1:
            raise ValueError("adapter.gate_share + adapter.select_share must stay below 1")
        return self

    @model_validator(mode="after")
    def _ranges_exist(self) -> "Config":
        allowed = ["price", "position", "propensity", *self.features.numerical]
        for name in self.quality.ranges:
            if name not in allowed:
                raise ValueError(f"quality.ranges: {name!r} is not one of {', '.join(allowed)}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose calendar days the logs follow."""
        return ZoneInfo(self.timezone)

    @property
    def source_file(self) -> Path:
        """The params.yaml that this configuration was read from."""
        return self._file

    @property
    def root(self) -> Path:
        """The folder that relative paths start from."""
        return self._file.parent

    @property
    def home(self) -> Path:
        """The workspace folder, absolute."""
        return (self.root / self.workspace).resolve()

    def read_from(self, file: Path) -> "Config":
        """Return the same configuration as if it was read from ``file``."""
        copy = self.model_copy()
        copy._file = file.resolve()
        return copy

    def source_uri(self, day: date) -> str:
        """The template of the day's files, absolute where it is a local path."""
        inside = self.reference.first <= day <= self.reference.last
        template = (self.reference.uri if inside else None) or self.source.uri
        uri = template.replace("{day}", day.isoformat())
        return uri if "://" in uri else str(self.root / uri)
