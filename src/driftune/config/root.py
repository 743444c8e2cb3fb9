"""One pydantic tree for params.yaml; a wrong value fails before anything runs."""

from collections.abc import Iterator
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
from driftune.config.days import with_day
from driftune.config.drift import Drift
from driftune.config.explode import CLICKED, LIST_ID, PLACE
from driftune.config.features import Counters, Domains, Features
from driftune.config.gate import Gate
from driftune.config.guard import Guard
from driftune.config.messages import near
from driftune.config.negatives import Negatives
from driftune.config.notify import Notify
from driftune.config.observe import Observe
from driftune.config.quality import Quality
from driftune.config.recommender import ROLES, RecommenderSettings
from driftune.config.registry import Registry
from driftune.config.retention import Retention
from driftune.config.runner import Runner, RunnerRole
from driftune.config.source import Reference, Resources, Source
from driftune.config.tables import SideTable, checked_names
from driftune.config.triggers import wrong_triggers
from driftune.io import Json, JsonObject

_WITHOUT_CATEGORY: list[Json] = [[*key] for key in Counters().per if "category" not in key]
_WITHOUT_CONVERSIONS: list[Json] = ["click_tower.1"]


def _with_default(tree: JsonObject, path: str, key: str, value: Json) -> JsonObject:
    """A copy of the tree in whose section a key that is not given has a value."""
    first, _, rest = path.partition(".")
    section = tree.get(first)
    section = {} if section is None else section
    if not isinstance(section, dict):
        return tree
    inner = _with_default(section, rest, key, value) if rest else {key: value, **section}
    return {**tree, first: inner}


class Config(Section):
    """The whole of params.yaml. Relative paths are relative to the folder of the file; in local
    ones a leading ``~`` and variables (``$NAME``, ``${NAME}``) are filled in.

    ``lake``: the folder or URL of an object store (``s3://…``, ``gs://…``) of the Delta table,
    which by default is in the workspace.
    """

    workspace: str = "workspace"
    """Folder for everything that a run writes."""
    lake: str | None = Field(None, min_length=1)
    """Folder, `s3://BUCKET/lake` or `gs://BUCKET/lake` of the Delta table; null: in the workspace.
    """
    timezone: str = "UTC"
    """IANA time zone of the calendar days, and of times without an offset."""
    seed: int = Field(7, ge=0)
    """Seed of pre-training and fine-tuning."""
    trigger: Literal["inline", "event"] = "inline"
    """`inline`: the daily run adapts; `event`: it emits an event that starts the deployment
    `adapt`.
    """
    review: Literal["none", "first"] = "none"
    """`first`: every fine-tune waits for `driftune approve`."""
    source: Source
    """Where the day's files are."""
    resources: Resources = Resources()
    """What taking in a day may use."""
    runner: RunnerRole = Runner()
    """Where a day's domains are measured and adapted; a word alone is its `kind`."""
    reference: Reference
    """The days that pre-training uses."""
    columns: Columns
    """What the columns of the logs mean."""
    tables: dict[str, SideTable] = {}
    """Side tables by name, whose columns roles and features may name: `users.age`."""
    negatives: Negatives | None = None
    """Rows that are drawn for logs of clicks alone; null: the logs hold what was shown, too."""
    domains: Domains = Domains()
    """What happens to unknown domains."""
    features: Features = Features()
    """What the encoder reads."""
    recommender: RecommenderSettings | None = None
    """A recommender of your own; null: the built-in one."""
    backbone: Backbone = Backbone()
    """The built-in recommender, an ESMM, and its pre-training."""
    quality: Quality = Quality()
    """Limits of data quality."""
    drift: Drift = Drift()
    """Signals, and when drift triggers."""
    adapter: Adapter = Adapter()
    """The IAK adapter and its fine-tuning."""
    gate: Gate = Gate()
    """What a challenger must show."""
    guard: Guard = Guard()
    """When a champion is taken back."""
    registry: Registry = Registry()
    """Where decisions and versions are kept."""
    notify: Notify = Notify()
    """Messages to people."""
    observe: Observe = Observe()
    """Logs and metrics."""
    retention: Retention = Retention()
    """For how long files are kept."""

    _file: Path = PrivateAttr(default_factory=lambda: Path("params.yaml").resolve())

    @model_validator(mode="before")
    @classmethod
    def _each_row_is_a_click(cls, given: JsonObject) -> JsonObject:
        columns = given.get("columns")
        if not isinstance(columns, dict) or columns.get("click") is not None:
            return given
        roles = {name: role for name, role in columns.items() if name != "click"}
        if given.get("negatives") is not None:
            roles["click"] = {"sql": "1"}
        return {**given, "columns": roles}

    @model_validator(mode="before")
    @classmethod
    def _lists_have_roles(cls, given: JsonObject) -> JsonObject:
        source, columns = given.get("source"), given.get("columns")
        if not isinstance(source, dict) or not isinstance(columns, dict):
            return given
        if not (explode := source.get("explode")):
            return given
        roles: JsonObject = {"request": LIST_ID, "position": PLACE}
        if isinstance(explode, dict) and explode.get("clicked"):
            roles["click"] = CLICKED
        return {**given, "columns": roles | columns}

    @model_validator(mode="before")
    @classmethod
    def _defaults_need_no_role(cls, given: JsonObject) -> JsonObject:
        """Counters and places that are not named are those that the roles suffice for."""
        columns = given.get("columns")
        if not isinstance(columns, dict):
            return given
        if columns.get("category") is None:
            given = _with_default(given, "features.counters", "per", _WITHOUT_CATEGORY)
        if given.get("recommender") is not None:
            given = _with_default(given, "adapter", "at", "auto")
        elif columns.get("convert") is None:
            given = _with_default(given, "adapter", "at", _WITHOUT_CONVERSIONS)
        return given

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

    @field_validator("tables")
    @classmethod
    def _tables_have_names(cls, tables: dict[str, SideTable]) -> dict[str, SideTable]:
        return checked_names(tables)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in (zones := available_timezones()):
            raise ValueError(
                f"must be an IANA time zone such as Europe/Berlin{near(zone, sorted(zones))}"
            )
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

    @model_validator(mode="after")
    def _triggers_fit(self) -> "Config":
        if (said := next(wrong_triggers(self), None)) is not None:
            raise ValueError(said)
        return self

    @model_validator(mode="after")
    def _tables_have_columns(self) -> "Config":
        for key, column in self._named_columns():
            table, _, name = column.partition(".")
            if table in self.tables and name not in (there := self.tables[table].columns):
                raise ValueError(
                    f"{key}: {column!r} is no column of tables.{table}; there are "
                    f"{', '.join(there)}; add it to tables.{table}.columns"
                )
        return self

    def _named_columns(self) -> Iterator[tuple[str, str]]:
        """Each column that a role or a feature names, after the key that names it."""
        given = {f"columns.{name}": getattr(self.columns, name) for name in Columns.model_fields}
        given["columns.time"] = self.columns.time.role
        given |= {f"features.categorical.{k}": v for k, v in self.features.categorical.items()}
        given |= {f"features.numerical.{k}": v for k, v in self.features.numerical.items()}
        for key, role in given.items():
            for name in role if isinstance(role, list) else [role]:
                if isinstance(name, str):
                    yield key, name

    @model_validator(mode="after")
    def _lag_covers_labels(self) -> "Config":
        lag, delay = self.features.counters.lag_hours, self.gate.label_delay_hours
        if lag is not None and lag < delay:
            raise ValueError(
                f"features.counters.lag_hours = {lag:g} is shorter than gate.label_delay_hours = "
                f"{delay:g}: clicks would be counted that are not known yet; raise it"
            )
        past = None if self.recommender is None else self.recommender.history
        if past is not None and past.of != "impressions" and past.lag_hours < delay:
            raise ValueError(
                f"recommender.history.lag_hours = {past.lag_hours:g} is shorter than "
                f"gate.label_delay_hours = {delay:g}: {past.of} would be in the history that are "
                "not known yet; raise it"
            )
        return self

    @model_validator(mode="after")
    def _negatives_fit(self) -> "Config":
        if self.negatives is None:
            return self
        if self.negatives.from_ == "session" and self.columns.request is None:
            raise ValueError(
                "negatives.from = 'session' needs columns.request, which names the session; name "
                "it, or choose domain_day or uniform"
            )
        known = [*self.features.categorical, *self.features.numerical]
        for name in self.negatives.item or []:
            if name not in known:
                allowed = ", ".join(known) or "nothing"
                raise ValueError(f"negatives.item: {name!r} is no feature; there is {allowed}")
        return self

    @model_validator(mode="after")
    def _places_exist(self) -> "Config":
        """Those of the built-in model: each layer of a tower, a tower, what both read."""
        layers = 2 * len(self.backbone.hidden) + 1
        if self.recommender is not None:
            return self
        towers = ("click_tower", "convert_tower")
        places = [f"{tower}.{number}" for tower in towers for number in range(layers)]
        for place in self.adapter.all_places or []:
            if place not in (*places, *towers, "representation"):
                raise ValueError(
                    f"adapter.at: {place!r} is no place of the model; there are click_tower.0 to "
                    f"click_tower.{layers - 1}, and the same of convert_tower"
                )
        return self

    @model_validator(mode="after")
    def _recommender_reads_columns(self) -> "Config":
        own = self.recommender
        roles = [name for name in ROLES if name in ("domain", "hour") or self._has_role(name)]
        allowed = [*roles, *self.features.categorical, *self.features.numerical]
        for key, name in [] if own is None else own.named():
            if name not in allowed:
                raise ValueError(
                    f"{key}: {name!r} is no role and no feature; there are {', '.join(allowed)}; a "
                    "column becomes one in features.categorical or features.numerical"
                )
        if own and own.history and own.history.of == "conversions" and not self.columns.convert:
            raise ValueError("recommender.history.of = 'conversions' needs columns.convert")
        return self

    def _has_role(self, name: str) -> bool:
        return getattr(self.columns, name) is not None

    @model_validator(mode="after")
    def _items_are_listed(self) -> "Config":
        time = self.columns.time.column
        self.source.check_time(time, of_table=time is not None and self.is_of_table(time))
        explode, item = self.source.explode, self.columns.item
        if explode is not None and isinstance(item, str) and item not in explode.columns:
            there = ", ".join(explode.columns)
            raise ValueError(
                f"columns.item = {item!r} is no column of source.explode.columns ({there}): every "
                "element of a list would be the same item; name the list of items there"
            )
        return self

    @model_validator(mode="after")
    def _features_fit(self) -> "Config":
        labels = {"click": self.columns.click, "convert": self.columns.convert}
        for kind in ("categorical", "numerical"):
            for name, given in getattr(self.features, kind).items():
                role = next((role for role, column in labels.items() if given == column), None)
                if role is not None:
                    raise ValueError(
                        f"features.{kind}: {name!r} is the label columns.{role}; the model would "
                        "read what it is to predict: leave it out"
                    )
        return self

    @model_validator(mode="after")
    def _roles_suffice(self) -> "Config":
        columns = self.columns
        if columns.convert is None and self.gate.metric == "ctcvr_auc":
            raise ValueError(
                "gate.metric = 'ctcvr_auc' needs columns.convert; name it, or write ctr_auc"
            )
        if columns.category is None:
            for key in self.features.counters.per:
                if "category" in key:
                    raise ValueError(
                        f"features.counters.per: {key!r} needs columns.category; name it, or "
                        "leave the key out"
                    )
        return self

    def expressions(self) -> dict[str, str]:
        """The SQL expressions of roles, by role, and of features, by their columns in the lake."""
        return self.columns.expressions() | self.features.expressions()

    def expression_key(self, name: str) -> str:
        """The key in params.yaml of an expression, by its name in ``expressions``."""
        kinds = {"f_": "features.categorical", "x_": "features.numerical"}
        feature = name in self.features.expressions()
        return f"{kinds[name[:2]]}.{name[2:]}.sql" if feature else f"columns.{name}.sql"

    @model_validator(mode="after")
    def _debias_has_a_role(self) -> "Config":
        if "position" not in self.features.debias:
            return self
        if self.columns.position is None:
            raise ValueError("features.debias: 'position' needs columns.position; name it")
        if "position" in self.features.numerical:
            raise ValueError(
                "features.debias: 'position' is one of features.numerical, too; leave it out there"
            )
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
        return self._absolute(with_day(template, day))

    def table_uri(self, table: str, day: date) -> str:
        """The template of a side table's files of a day, absolute where it is a local path."""
        return self._absolute(with_day(self.tables[table].uri, day))

    def _absolute(self, uri: str) -> str:
        return uri if "://" in uri else str(self.root / uri)

    def is_of_table(self, column: str) -> bool:
        """Whether a column is one of a side table, `TABLE.COLUMN`."""
        table, dot, name = column.partition(".")
        return bool(dot) and table in self.tables and name in self.tables[table].columns
