"""One pydantic tree for params.yaml; a wrong value fails before anything runs."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from driftune.drift.settings import Drift
from driftune.evaluation.settings import Gate
from driftune.guard.settings import Guard
from driftune.notify.settings import Notify
from driftune.observe.settings import Observe
from driftune.quality.settings import Quality
from driftune.redact import redact
from driftune.retention.settings import Retention
from driftune.runner import Runner, RunnerRole
from driftune.sections import STRICT, Positive, Share

Betas = Annotated[
    list[Annotated[float, Field(ge=0, allow_inf_nan=False)]],
    BeforeValidator(lambda given: given if isinstance(given, list) else [given]),
]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values do not change after loading."""

    model_config = STRICT


class SqlRole(Section):
    """A role computed by a DuckDB expression over the source columns."""

    sql: str = Field(min_length=1)


ColumnRole = str | SqlRole


class TimeRole(Section):
    """The impression's time: a column and how to read it."""

    column: str
    unit: Literal["timestamp", "s", "ms", "us"] = "timestamp"


class Columns(Section):
    """Column roles: what the logs' columns mean to the recommender.

    ``request`` names the list that an impression was shown in, unique over all days.
    """

    user: ColumnRole
    item: ColumnRole
    time: TimeRole
    domain: ColumnRole | list[str]
    click: ColumnRole
    convert: ColumnRole
    category: ColumnRole
    price: ColumnRole | None = None
    request: ColumnRole | None = None
    position: ColumnRole | None = None
    propensity: ColumnRole | None = None


class Source(Section):
    """Where the day's files are: an fsspec URL or path with ``{day}``, globs allowed.

    A run without a day also takes up days before it that have arrived: the last ``late_days``
    ones, and after an outage up to ``catch_up_days`` since the newest that a run has taken in.
    With ``keep_columns`` the lake holds delivered columns that no role names, too.
    """

    uri: str = Field(repr=False)
    format: Literal["auto", "parquet", "csv", "jsonl"] = "auto"
    late_days: int = Field(3, ge=0)
    keep_columns: bool = True
    catch_up_days: int = Field(14, ge=0)

    @field_validator("uri")
    @classmethod
    def _has_day(cls, uri: str) -> str:
        if "{day}" not in uri:
            raise ValueError("must contain {day}")
        return uri


class Resources(Section):
    """What taking in a day may use: DuckDB's ``memory``; beyond it, files beside the staged day."""

    memory: str = Field("1.5GB", pattern=r"^[1-9][0-9]*(\.[0-9]+)?(MB|GB)$")


class Reference(Section):
    """The days that pre-training uses, both ends included."""

    first: date
    last: date
    uri: str | None = Field(None, repr=False)
    holdout: Share = 0.1

    @field_validator("uri")
    @classmethod
    def _no_secret(cls, uri: str | None) -> str | None:
        if uri is not None and redact(uri) != uri:
            raise ValueError("DVC would keep its password in dvc.lock; give it to fsspec")
        return uri

    @model_validator(mode="after")
    def _ordered(self) -> "Reference":
        if self.last < self.first:
            raise ValueError("last must not lie before first")
        return self


class Domains(Section):
    """What happens to domains that the reference days do not have."""

    unknown: Literal["quarantine", "other"] = "quarantine"


class Counters(Section):
    """Point-in-time rolling counters: exponentially decayed rates from days before the row's."""

    per: list[list[str]] = [
        ["item"],
        ["item", "domain"],
        ["user"],
        ["user", "domain"],
        ["category", "domain"],
        ["user", "category"],
    ]
    half_life_days: float = Field(7.0, gt=0)
    history_days: Positive = 28
    smoothing: float = Field(20.0, gt=0)


class Features(Section):
    """What the encoder reads besides user, item, domain, category, price and hour."""

    categorical: list[str] = []
    numerical: list[str] = []
    min_count: Positive = 2
    oov_buckets: Positive = 16
    counters: Counters = Counters()

    @model_validator(mode="after")
    def _keys_exist(self) -> "Features":
        allowed = ["user", "item", "domain", "category", *self.categorical]
        for key in self.counters.per:
            for part in key:
                if part not in allowed:
                    raise ValueError(f"counters.per: {part!r} is not one of {', '.join(allowed)}")
        return self


class Backbone(Section):
    """The ESMM backbone and its pre-training."""

    embedding: Positive = 8
    hidden: list[Positive] = [128, 64]
    epochs: Positive = 2
    batch_size: Positive = 512
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-5, ge=0)


class Adapter(Section):
    """The IAK adapter and its fine-tuning.

    It is trained on the last ``train_days`` days, or on those since drift began where that does
    better on the selection rows; once drift is older, on up to ``drift_days`` days since.
    """

    at: list[str] = Field(["click_tower.1", "convert_tower.1"], min_length=1)
    combine: Literal["residual", "replace"] = "residual"
    bottleneck: Positive = 12
    hidden: Positive = 16
    beta: Betas = Field([0.0, 1e-3], min_length=1)
    train_days: Positive = 3
    drift_days: Positive = 7
    select_share: float = Field(0.15, gt=0, lt=0.5)
    gate_share: float = Field(0.35, gt=0, lt=0.8)
    epochs: Positive = 12
    patience: Positive = 3
    batch_size: Positive = 256
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)


class Registry(Section):
    """Where decisions and adapter versions live; by default files in the workspace."""

    ledger: str | None = Field(None, repr=False)
    mlflow: str | None = Field(None, repr=False)
    experiment: str = "driftune"
    lease_minutes: Positive = 60


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
