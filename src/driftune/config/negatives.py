"""Negatives for logs of clicks alone: rows that are drawn beside those that were delivered."""

from typing import Literal

from pydantic import Field

from driftune.config.base import Section

Candidates = Literal["session", "domain_day", "uniform"]


class Negatives(Section):
    """Rows without a click that are drawn for each click, where a log holds clicks alone.

    A drawn row has the user, time, domain, list and place of the click, and item, category and
    price of another one; never an item that the user clicked that day. It is marked as `drawn` in
    the lake. The draw is a hash of the seed, the day and the click's own values: the same on every
    machine, whatever files the day comes in.
    """

    per_positive: int = Field(4, ge=1, le=100)
    """Rows that are drawn for each click; fewer where its user clicked nearly everything."""
    from_: Candidates = Field("domain_day", alias="from")
    """What they are drawn from. `domain_day`: the rows of the same domain and day, so that an item
    is drawn as often as it is popular there; `uniform`: the items of the day, of all domains,
    each equally often; `session`: the rows of the same domain while the session (the role
    `request`) lasted, and half an hour before and after it, so that what is drawn was there to be
    seen; where these do not suffice, the rest as by `domain_day`."""
    item: list[str] | None = None
    """Features that belong to the item, as category and price do; null: those that have one value
    in all rows of an item, but for one row in a hundred. What only reads the item, its category or
    price, or a table joined by the item, belongs to it always."""
