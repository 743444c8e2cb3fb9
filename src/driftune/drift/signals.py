"""The twelve signals: what each compares, and what kind of news it is.

``traffic`` is what was shown, ``interest`` what people did with it, ``performance`` how well the
champion foresaw it. Only performance says that the champion is being hurt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["traffic", "interest", "performance"]
Method = Literal["jensenshannon", "wasserstein", "calibration", "auc"]


@dataclass(frozen=True)
class Signal:
    """``label`` names it in sentences; ``method`` is Evidently's name where Evidently measures."""

    label: str
    kind: Kind
    method: Method
    unit: str

    @property
    def counted(self) -> bool:
        """Whether it compares two windows' counts, as Evidently does."""
        return self.method in ("jensenshannon", "wasserstein")


_JS = "Jensen–Shannon distance"
_SD = "standard deviations of the reference"

SIGNALS: Mapping[str, Signal] = {
    "category_shown": Signal("categories shown", "traffic", "jensenshannon", _JS),
    "price_shown": Signal("prices shown", "traffic", "wasserstein", _SD),
    "hour": Signal("hours of the day", "traffic", "jensenshannon", _JS),
    "novelty": Signal("new items", "traffic", "jensenshannon", _JS),
    "prediction": Signal("champion's predictions", "traffic", "wasserstein", _SD),
    "category_clicked": Signal("categories clicked", "interest", "jensenshannon", _JS),
    "price_clicked": Signal("prices clicked", "interest", "wasserstein", _SD),
    "click_rate": Signal("click rate", "interest", "jensenshannon", _JS),
    "category_rate": Signal("click rate per category", "interest", "jensenshannon", _JS),
    "taste": Signal("kind of items clicked", "interest", "jensenshannon", _JS),
    "calibration": Signal(
        "clicks against predictions", "performance", "calibration", "root mean square, logits"
    ),
    "auc": Signal("champion's AUC", "performance", "auc", "AUC lost"),
}
