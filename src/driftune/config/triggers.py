"""Entries of ``drift.triggers`` that Evidently measures: what, how, from where on, and then what.

Evidently loads slowly, and signals belong to a layer above: what there is of both is listed here,
and a test holds the lists to what they name.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from driftune.config.base import Positive, Section
from driftune.config.messages import near

if TYPE_CHECKING:
    from driftune.config.root import Config

Action = Literal["adapt", "alert", "watch"]
# ``label``: 0 or 1, which is measured as a number or as two categories, as the method asks for.
Kind = Literal["numerical", "categorical", "label"]


class Measure(NamedTuple):
    """What is measured, and how: a ``signal`` or ``column`` (``of``) by name, Evidently's method;
    a ``metric`` of one's own by its name, and the columns that it is given.

    Triggers of the same measure share its value.
    """

    of: str
    what: str
    method: str


class Method(NamedTuple):
    """A drift method of Evidently: its name in words, whether it gives a p-value, what it fits.

    ``rows``: on how many rows of a side it is measured at most, where it is slow; else as many as
    are sampled.
    """

    words: str
    is_p: bool
    kinds: frozenset[str]
    rows: int | None = None


_NUMERICAL, _CATEGORICAL = frozenset({"numerical"}), frozenset({"categorical"})
_BOTH = _NUMERICAL | _CATEGORICAL
METHODS: Mapping[str, Method] = {
    "jensenshannon": Method("Jensen–Shannon", False, _BOTH),
    "psi": Method("PSI", False, _BOTH),
    "kl_div": Method("Kullback–Leibler", False, _BOTH),
    "hellinger": Method("Hellinger", False, _BOTH),
    "wasserstein": Method("Wasserstein", False, _NUMERICAL),
    "ed": Method("energy distance", False, _NUMERICAL),
    "ks": Method("Kolmogorov–Smirnov", True, _NUMERICAL),
    "t_test": Method("t-test", True, _NUMERICAL),
    "mannw": Method("Mann–Whitney", True, _NUMERICAL),
    "anderson": Method("Anderson–Darling", True, _NUMERICAL),
    "cramer_von_mises": Method("Cramér–von Mises", True, _NUMERICAL),
    "es": Method("Epps–Singleton", True, _NUMERICAL),
    "empirical_mmd": Method("MMD", True, _NUMERICAL, 1000),
    "chisquare": Method("chi-square", True, _CATEGORICAL),
    "z": Method("z-test", True, _CATEGORICAL),
    "g_test": Method("G-test", True, _CATEGORICAL),
    "fisher_exact": Method("Fisher's exact", True, _CATEGORICAL),
    "TVD": Method("total variation", True, _CATEGORICAL, 1000),
}
"""Evidently's methods for one column of numbers or categories, by its own names."""

COUNTED: Mapping[str, Kind] = {
    "category_shown": "categorical",
    "price_shown": "numerical",
    "hour": "categorical",
    "novelty": "categorical",
    "prediction": "numerical",
    "category_clicked": "categorical",
    "price_clicked": "numerical",
    "click_rate": "categorical",
    "category_rate": "categorical",
    "taste": "categorical",
}
"""The signals that Evidently can measure."""

IDS: Mapping[str, str] = {"user": "user_id", "item": "item_id", "request": "request_id"}
"""Roles that only metrics of one's own may read, and what the lake calls them."""
_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_SENSELESS: Mapping[str, str] = {
    "user": "is an id: two samples of the same users are far apart",
    "item": "is an id: two samples of the same items are far apart; write signal: novelty or taste",
    "request": "is an id, and another one each day",
    "time": "is another one each day; write column: hour",
    "domain": "is the same in all rows that are compared",
}


class Trigger(Section):
    """What Evidently measures of each domain's day against its reference days, and what follows
    beyond a threshold in Evidently's own unit.

    One of `signal`, `column` and `metric` says what is measured; one of `above` and `p` is the
    threshold.
    """

    signal: str | None = None
    """A counted signal, such as `click_rate`."""
    column: str | None = None
    """A role, a feature, a kept column, `hour`, `prediction`, `click` or `convert`."""
    metric: str | None = None
    """A metric of your own with a single value: `package.module:CLASS_OR_FACTORY`, made without
    arguments; `package.module` is looked for beside `params.yaml`, too."""
    columns: list[str] = []
    """What your own metric is given: columns as in `column`, and `user`, `item` and `request`."""
    method: str = ""
    """A drift method of Evidently, such as `psi`, `wasserstein`, `ks` or `chisquare`."""
    above: float | None = Field(None, ge=0)
    """The distance above which it fires …"""
    p: float | None = Field(None, gt=0, lt=1)
    """… or the p-value below which it does, of methods that give one."""
    domains: list[str] = Field(["*"], min_length=1)
    """Domains by name; `*` stands for any text."""
    days: Positive = 1
    """Days in a row on which the threshold must be passed."""
    action: Action = "alert"
    """`adapt`: the domain has drifted; `alert`: a message and a mark; `watch`: it is watched."""

    @property
    def what(self) -> str:
        """What is measured, by its name."""
        return self.signal or self.column or self.metric or ""

    @property
    def measure(self) -> Measure:
        """What is measured, and how."""
        if self.metric is not None:
            return Measure("metric", self.metric, ", ".join(self.columns))
        return Measure("column" if self.signal is None else "signal", self.what, self.method)

    def watches(self, domain: str) -> bool:
        """Whether it is about a domain (name)."""
        return any(fnmatchcase(domain, pattern) for pattern in self.domains)

    def is_beyond(self, value: float | None) -> bool:
        """Whether a measured value passes the threshold; none does not."""
        if value is None:
            return False
        return value > self.above if self.above is not None else value < (self.p or 0.0)


def column_kinds(config: "Config") -> dict[str, Kind]:
    """The columns that roles and features name, and what else can be measured, by name."""
    roles: dict[str, Kind] = {
        **dict.fromkeys(("category",), "categorical"),
        **dict.fromkeys(("price", "position", "propensity"), "numerical"),
        **dict.fromkeys(("click", "convert"), "label"),
    }
    given = {name: kind for name, kind in roles.items() if getattr(config.columns, name)}
    found: dict[str, Kind] = {**given, "hour": "categorical", "prediction": "numerical"}
    found |= dict.fromkeys(config.features.categorical, "categorical")
    return found | dict.fromkeys(config.features.numerical, "numerical")


def as_measured(kind: Kind, method: str) -> str | None:
    """Whether a method takes a kind of column as numbers or as categories; None: it does not."""
    kinds = METHODS[method].kinds
    wanted = ["categorical", "numerical"] if kind == "label" else [kind]
    return next((each for each in wanted if each in kinds), None)


def wrong_triggers(config: "Config") -> Iterator[str]:
    """What is wrong with each entry, in a line that begins with its key."""
    for number, entry in enumerate(config.drift.triggers):
        if isinstance(entry, Trigger) and (said := _wrong(config, entry)) is not None:
            yield f"drift.triggers.{number}: {said}"


def _wrong(config: "Config", entry: Trigger) -> str | None:
    if sum(given is not None for given in (entry.signal, entry.column, entry.metric)) != 1:
        return "name one of signal, column and metric: what is measured"
    if entry.metric is not None:
        return _wrong_metric(config, entry)
    if entry.columns:
        return "columns are those of a metric of your own; write column: NAME"
    if entry.method not in METHODS:
        return _no_choice("method", entry.method, [*METHODS], "no drift method of Evidently")
    if (entry.above is None) == (entry.p is None):
        return f"give one of above and p; {_unit(entry.method)}"
    if (entry.p is not None) != METHODS[entry.method].is_p:
        return _unit(entry.method)
    if entry.signal is None:
        return _wrong_column(config, entry.what, entry.method)
    if entry.signal in ("calibration", "auc", "residuals"):
        return f"{entry.signal!r} decides by its name alone: write {entry.signal}"
    if entry.signal not in COUNTED:
        return _no_choice("signal", entry.signal, [*COUNTED], "no signal that Evidently measures")
    needs = entry.signal.split("_", maxsplit=1)[0]
    if needs in ("price", "category") and getattr(config.columns, needs) is None:
        return f"signal {entry.signal!r} needs columns.{needs}; name it"
    return _unfit(entry.signal, COUNTED[entry.signal], entry.method)


def _wrong_metric(config: "Config", entry: Trigger) -> str | None:
    if not _FACTORY.fullmatch(entry.metric or ""):
        return f"metric = {entry.metric!r} must be package.module:CLASS, such as my_metrics:Sellers"
    if entry.method:
        return f"method = {entry.method!r} belongs to signal and column; leave it out"
    if (entry.above is None) == (entry.p is None):
        return "give one of above and p, in the metric's own unit"
    if not entry.columns:
        return "name the columns that the metric reads: columns: [price]"
    known = [*column_kinds(config), *IDS]
    for name in entry.columns:
        if name == "prediction":
            return "column 'prediction' is no column of the lake; a metric cannot read it"
        if name not in known and not config.source.keep_columns:
            return _no_choice("column", name, known, "no role or feature")
    return None


def _wrong_column(config: "Config", name: str, method: str) -> str | None:
    known = column_kinds(config)
    if name in _SENSELESS and name not in known:
        return f"column {name!r} {_SENSELESS[name]}"
    if name in known:
        return _unfit(name, known[name], method)
    if not config.source.keep_columns:
        told = "no role or feature, and source.keep_columns is false"
        return _no_choice("column", name, [*known], told)
    return None


def _unfit(name: str, kind: Kind, method: str) -> str | None:
    if as_measured(kind, method) is not None:
        return None
    fits = ", ".join(other for other in METHODS if as_measured(kind, other) is not None)
    return f"method {method!r} does not fit {name!r}, which is {kind}; there are {fits}"


def _unit(method: str) -> str:
    if METHODS[method].is_p:
        return f"{method} gives a p-value: write p: 0.001, below which it fires"
    return f"{method} gives a distance: write above: 0.1, above which it fires"


def _no_choice(key: str, given: str, allowed: list[str], what: str) -> str:
    said = near(given, allowed) or f"; there are {', '.join(allowed)}"
    return f"{key} = {given!r} is {what}{said}"
