"""The signals that a day is measured by; a new one is a class of its own and a line here."""

from collections.abc import Collection, Mapping

from driftune.drift.signals.base import Facts, Move, Signal
from driftune.drift.signals.categories import CategoryMix, CategoryRate
from driftune.drift.signals.counted import CategoricalSignal, CountedSignal, NumericalSignal
from driftune.drift.signals.performance import AucLost, Calibration
from driftune.drift.signals.residuals import Residuals
from driftune.drift.signals.shares import ClickRate, Hours, ItemKinds, NewItems
from driftune.drift.signals.values import Predictions, Prices

__all__ = [
    "SIGNALS",
    "CategoricalSignal",
    "CountedSignal",
    "Facts",
    "Move",
    "NumericalSignal",
    "Signal",
    "counted_signals",
    "signals_of",
]

_JS = "Jensen–Shannon distance"
_SD = "standard deviations of the reference"
_IMPRESSIONS, _CLICKS = "Share of impressions", "Share of clicks"

_ALL: tuple[Signal, ...] = (
    CategoryMix(
        "category_shown", "categories shown", "traffic", _JS, _IMPRESSIONS, needs="category"
    ),
    Prices("price_shown", "prices shown", "traffic", _SD, needs="price"),
    Hours("hour", "hours of the day", "traffic", _JS, _IMPRESSIONS),
    NewItems("novelty", "new items", "traffic", _JS),
    Predictions("prediction", "champion's predictions", "traffic", _SD, of_champion=True),
    CategoryMix(
        *("category_clicked", "categories clicked", "interest", _JS, _CLICKS),
        needs="category",
        part="clicked",
    ),
    Prices(
        *("price_clicked", "prices clicked", "interest", _SD), needs="price", part="price_clicked"
    ),
    ClickRate("click_rate", "click rate", "interest", _JS),
    CategoryRate(
        *("category_rate", "click rate per category", "interest", _JS, "Click rate"),
        needs="category",
    ),
    ItemKinds("taste", "kind of items clicked", "interest", _JS, _CLICKS),
    Calibration(
        "calibration",
        "clicks against predictions",
        "performance",
        "root mean square, logits",
        "Clicks ÷ predicted clicks, the common ratio left out",
    ),
    AucLost("auc", "champion's AUC", "performance", "AUC lost"),
    Residuals(
        "residuals",
        "clicks against predictions by other properties",
        "performance",
        "root mean square, logits",
        "Log-odds of clicks beyond the predicted",
    ),
)
SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in _ALL}


def signals_of(lacking: Collection[str] = ()) -> dict[str, Signal]:
    """The signals of a log that lacks some roles, by name."""
    return {name: signal for name, signal in SIGNALS.items() if signal.needs not in lacking}


def counted_signals(lacking: Collection[str] = ()) -> dict[str, CountedSignal]:
    """The signals whose distance Evidently measures, by name; of a log that lacks some roles."""
    found = signals_of(lacking)
    return {name: signal for name, signal in found.items() if isinstance(signal, CountedSignal)}
