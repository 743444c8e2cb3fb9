"""Weak models: one that ranks worse than chance, or foresees clicks worse than plain rates do."""

from dataclasses import dataclass

import numpy as np

from driftune.evaluation.baselines import (
    Impressions,
    base_figures,
    domain_rates,
    item_position_rates,
)


@dataclass(frozen=True)
class PlainRates:
    """What the plain baselines foresee for some impressions, (n,) probabilities of a click."""

    domain: np.ndarray
    item: np.ndarray


def plain_rates(earlier: Impressions, judged: Impressions) -> PlainRates | None:
    """The baselines of a domain's judged impressions by its earlier ones; None without those."""
    if not len(earlier.click):
        return None
    return PlainRates(domain_rates(earlier, judged), item_position_rates(earlier, judged))


def weakness(
    click: np.ndarray, p_click: np.ndarray, plain: PlainRates, ranked: np.ndarray | None = None
) -> str | None:
    """What is wrong with a model on the impressions, in words; None where nothing is.

    It ranks them worse than chance (CTR-AUC below .5), or its log loss is above a baseline's by
    more than two standard errors.

    Args:
        click: (n,) of 0 and 1.
        p_click: (n,) the model's probabilities of a click, where the impressions were shown.
        plain: of the same impressions.
        ranked: (n,) what the model ranks by, by default ``p_click``.
    """
    found = base_figures(click.astype(np.float64), p_click, plain.domain, plain.item, ranked)
    said = []
    if found.auc < 0.5:
        said.append(f"ranks clicks worse than chance (CTR-AUC {_below_half(found.auc)})")
    if found.worse_than is not None:
        of_domain = found.worse_than == "the domain's rate"
        least = found.domain_log_loss if of_domain else found.item_log_loss
        said.append(
            f"foresees clicks worse than {found.worse_than} of the days before alone (log loss "
            f"{found.log_loss:.4f}, {least:.4f})"
        )
    return " and ".join(said) or None


def _below_half(auc: float) -> str:
    """An AUC below .5 with as many digits as tell it from .5: three, or up to six."""
    texts = (f"{auc:.{digits}f}" for digits in range(3, 7))
    return next((text for text in texts if float(text) < 0.5), f"{auc:.6g}")
