"""The command line's side of a comparison: its options, and what it prints."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from driftune.cli.console import progress, show_policies
from driftune.config import Config
from driftune.errors import ConfigError
from driftune.io import finite
from driftune.policies.compare import compare_policies
from driftune.policies.rules import policies
from driftune.progress import report
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from driftune.simulate.events import changes
from driftune.simulate.truth import read_truth


def run_comparison(
    config: Config,
    first: date,
    last: date,
    alphas: Sequence[float],
    ages: Sequence[int],
    truth: Path | None,
) -> dict[str, Any]:
    """Compare the policies, refresh the site, print a table; returns the figures.

    Raises:
        ConfigError: for a level that is none, or a record of events that cannot be read.
    """
    for level in alphas:
        if not 0 < level < 1:
            raise ConfigError(f"--alpha {level:g} must lie between 0 and 1")
    known = None
    if truth is not None:
        try:
            known = changes(read_truth(truth).config)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"--truth {truth} is not what simulate wrote: {reason}") from None
    with Ledger(config) as ledger:
        with progress():
            wanted = policies(config, first, alphas, known, ages)
            found = compare_policies(config, ledger, wanted, first, last, report)
        site = build_site(config, ledger, days=[])
    figures: dict[str, Any] = finite(asdict(found))
    show_policies(figures)
    return {**figures, "page": str(site.with_name("policies.html"))}
