"""The section ``observe`` of params.yaml: logs and metrics."""

from pathlib import Path
from typing import Literal

from pydantic import field_validator

from driftune.config.base import Section


class Observe(Section):
    """``log_format`` is that of the command line's own lines; ``log_file`` gets JSON lines of every
    run. ``metrics`` writes a text file per flow, ``push_gateway`` is where it is pushed to, too.
    """

    log_format: Literal["text", "json"] = "text"
    """Format of the command line's own lines."""
    log_file: Path | None = None
    """File for JSON lines of every run."""
    metrics: bool = True
    """Write a file of metrics for each flow."""
    push_gateway: str | None = None
    """URL of a Prometheus push gateway."""

    @field_validator("push_gateway")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError(f"{url} is no http(s) URL, such as http://pushgateway:9091")
        return url
