"""The section ``retention`` of params.yaml: days that each kind of file is kept."""

from pydantic import Field

from driftune.config.base import Positive, Section

# Drift compares with, and counters and fine-tuning look at, days so far back at least.
LEAST_LAKE_DAYS = 90


class Retention(Section):
    """What ``driftune prune`` drops, by age in days; null keeps all.

    ``versions``: files of the lake that a newer delivery has replaced, by when they were;
    ``lake``: days of the lake themselves, by their date, as is the case with ``quarantine`` and
    ``records`` (quality, Data Docs). ``challengers``: files of fine-tunings that were never
    promoted, by when their decision ended. ``adapters``: files and MLflow versions of champions
    that no rollback leads to. ``caches``: encoded days and drift counts that nothing has read, and
    pooled starts.
    """

    versions: Positive | None = 90
    """Files of the lake, since a newer delivery replaced them."""
    lake: int | None = Field(None, ge=LEAST_LAKE_DAYS)
    """Days of the lake."""
    quarantine: Positive | None = None
    """Rejected rows."""
    records: Positive | None = None
    """Quality records and Data Docs, with the day's page."""
    challengers: Positive | None = 90
    """Files of challengers that were not promoted."""
    adapters: Positive | None = None
    """Files and MLflow versions of former champions that no rollback needs."""
    caches: Positive | None = 30
    """Encoded days and drift counts that nothing has read; pooled starts."""
