"""Reports: the static review site, and the day in a few lines."""

from driftune.reports.site import build_site

__all__ = ["build_site"]
