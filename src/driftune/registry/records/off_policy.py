"""What champion and challenger would have earned, estimated from logged impressions."""

from collections.abc import Iterator

from driftune.registry.records.base import Figure, Record


class Estimate(Record):
    """Clicks per impression with an interval, from ``n`` impressions; ``refused`` says why not.

    ``ess`` is the effective number of impressions, ``effective_clusters`` that of users.
    """

    value: Figure = None
    low: Figure = None
    high: Figure = None
    ess: Figure = None
    effective_clusters: Figure = None
    n: int | None = None
    refused: str | None = None


class Estimates(Record):
    """One policy's estimates by estimator."""

    ips: Estimate = Estimate()
    snips: Estimate = Estimate()
    dr: Estimate = Estimate()

    def by_name(self) -> Iterator[tuple[str, Estimate]]:
        """Each estimator's name and estimate."""
        yield from (("ips", self.ips), ("snips", self.snips), ("dr", self.dr))


class OffPolicyReport(Record):
    """Both policies on the same impressions; ``difference`` is challenger − champion.

    ``logged`` is what the logging policy earned; ``left_out`` impressions stand in lists with gaps.
    """

    champion: Estimates = Estimates()
    challenger: Estimates = Estimates()
    difference: Estimates = Estimates()
    logged: Estimate = Estimate()
    left_out: int | None = None
    temperature: Figure = None
    confidence: Figure = None
    refused: str | None = None
