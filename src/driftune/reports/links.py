"""Addresses of pages, and words for champions, that several pages share."""

from typing import Protocol

from driftune.registry.ledger import BASE
from driftune.reports.history import History


class OfDomainAndDay(Protocol):
    """What has a page by its domain's key and day (ISO): a decision, whole or in a few figures."""

    @property
    def day(self) -> str:
        """The day, ISO."""

    @property
    def domain_key(self) -> str:
        """The domain's key."""


def champion_text(version: int) -> str:
    """A champion's version in words."""
    return "frozen base" if version == BASE else f"version {version}"


def decision_path(row: OfDomainAndDay) -> str:
    """Where a decision's page lies in the site: only the day and the domain's key are in it."""
    return f"decision/{row.day}/{row.domain_key}.html"


def decision_href(root: str, row: OfDomainAndDay) -> str:
    """Relative address of a decision's page."""
    return f"{root}{decision_path(row)}"


def cell_href(history: History, root: str, row: OfDomainAndDay) -> str:
    """Relative address of a decision's page, or of its row on the day's page when it has none."""
    if (row.domain_key, row.day) in history.pages:
        return decision_href(root, row)
    return f"{root}day/{row.day}.html#{row.domain_key}"


def domain_href(root: str, key: str) -> str:
    """Relative address of a domain's page."""
    return f"{root}domain/{key}.html"
