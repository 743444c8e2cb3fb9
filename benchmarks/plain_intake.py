"""A simulated day into the lake without Great Expectations: its rows break no rule.

Expectations are most of what a small day costs, and a benchmark of decisions brings in hundreds.
Rows, lake, profile and record are those of ``driftune.intake.ingest``; the record has no checks.
"""

from datetime import date

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.intake.ingest import commit_day, domains_for
from driftune.intake.negatives import draw
from driftune.intake.stage import stage
from driftune.intake.turns import turn
from driftune.lake.duck import connect
from driftune.lake.scratch import scratch
from driftune.lake.source import fetch
from driftune.quality.checkpoint import Checkpoint
from driftune.quality.day_profile import write_profile
from driftune.quality.judge import judge
from driftune.quality.record import record_quality
from driftune.quality.released import rules_hash
from driftune.quality.staged import within_reach
from driftune.registry.ledger import Ledger


def take_in(config: Config, ledger: Ledger, day: date) -> None:
    """Fetch, stage, judge by domain and commit one day.

    Raises:
        DriftuneError: as ``ingest``.
    """
    workspace = Workspace(config)
    with turn(config, day), scratch(config, day) as folder:
        fetched, database = fetch(config, day, folder), folder / "day.duckdb"
        with connect(database, reach=within_reach(config, fetched, database)):
            staged = stage(config, fetched, domains_for(config, day), database)
            checkpoint = Checkpoint((), [], judge(config, staged))
            write_profile(workspace, checkpoint.judged.profile)
            drawn, rules = draw(config, staged), rules_hash(config, staged.released)
            target = workspace.quality(day)
            quality = record_quality(staged, checkpoint, target, rules, drawn.domains, drawn.source)
            commit_day(config, ledger, staged, quality)
