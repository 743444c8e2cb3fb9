"""The section ``notify`` of params.yaml: which events are sent, never the addresses themselves."""

import re
from typing import Literal, get_args

from pydantic import Field, field_validator

from driftune.config.base import Section

Kind = Literal[
    "alert",
    "threshold",
    "promotion",
    "rejection",
    "rollback",
    "stale",
    "refused_day",
    "kept_out",
    "failure",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Notify(Section):
    """Which events are sent, and the environment variable that holds Apprise's URLs.

    ``site``: where the review site is served, for links; without it messages name the files.
    """

    urls_env: str | None = None
    """Name of the environment variable that holds Apprise's URLs; null: no messages."""
    events: list[Kind] = Field(list(KINDS), min_length=1)
    """The kinds of events that are sent."""
    site: str | None = None
    """URL where the review site is served, for links."""

    @field_validator("urls_env")
    @classmethod
    def _names_a_variable(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(
                "must name an environment variable that holds the URLs; they are secrets and "
                "have no place in this file"
            )
        return name

    @field_validator("site")
    @classmethod
    def _is_open(cls, site: str | None) -> str | None:
        if site is not None and not re.fullmatch(r"https?://[^\s@?#]+", site):
            raise ValueError("must be an http or https URL without a password or query")
        return site

    @property
    def kinds(self) -> frozenset[str]:
        """What is to be queued; nothing while there is nobody to tell."""
        return frozenset() if self.urls_env is None else frozenset(self.events)
