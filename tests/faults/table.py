"""The fault matrix: which fault strikes at which boundary of which work. Plain data."""

from dataclasses import dataclass
from typing import Literal

# By which command a case is run: all by `make test-all`, fewer by CI, a handful by `make test`.
Run = Literal["fast", "ci", "all"]


@dataclass(frozen=True)
class Fault:
    """What strikes a process: at the ``call``-th call of ``at`` (module:name), before or after.

    ``kill`` is kill -9; ``hold`` waits there until the test lets it go on; ``clock`` sets the wall
    clock off by ``seconds`` from the start.
    """

    kind: Literal["kill", "hold", "clock"]
    at: str = ""
    when: Literal["before", "after"] = "before"
    call: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Scene:
    """A world to start from, the work that is done in it on a day, and settings for it."""

    world: Literal["pretrained", "crowned", "waiting", "served"]
    work: Literal["daily", "adapt", "rollback"]
    day: Literal["stable", "shift", "after"]
    trigger: Literal["inline", "event"] = "inline"


@dataclass(frozen=True)
class Kill:
    """A case: the work is killed at a boundary, then done again.

    ``mend``: reconcile runs after that, as it does every quarter of an hour; what else is needed
    to be as if nothing had happened is nothing. ``again``: whether the work itself is repeated.
    """

    id: str
    scene: Scene
    at: str
    when: Literal["before", "after"] = "before"
    call: int = 1
    mend: bool = False
    again: bool = True
    run: Run = "all"

    @property
    def fault(self) -> Fault:
        """The fault that a child gets."""
        return Fault("kill", self.at, self.when, self.call)


@dataclass(frozen=True)
class Trouble:
    """A case in which the world around the work fails, not the work's process.

    ``clock``: the wall clock stands off by ``seconds``; ``locked``: another process holds the
    ledger for so long; ``away``: MLflow does not answer; ``full``: ``place``, a folder of the
    workspace, has room for a few kilobytes only; ``beside``: another process does
    the work ``place`` at the same time; ``server``: Prefect's server is killed at ``place``, and
    started again. ``ends``: the exit code of the work meanwhile; None is any. Then the trouble is
    over, and the work is done again.
    """

    id: str
    scene: Scene
    kind: Literal["clock", "locked", "away", "full", "beside", "server"]
    place: str = ""
    seconds: float = 0.0
    ends: int | None = 0
    mend: bool = False
    again: bool = True
    run: Run = "all"


QUIET = Scene("pretrained", "daily", "stable")
DRIFTS = Scene("pretrained", "daily", "shift")
ALERTS = Scene("pretrained", "daily", "shift", "event")
ADAPTS = Scene("waiting", "adapt", "shift", "event")
GUARDS = Scene("crowned", "daily", "stable")
BACK = Scene("served", "rollback", "shift")
LATER = Scene("served", "daily", "after")

DAY = (
    Kill("fetch-before", QUIET, "tasks.days:fetch"),
    Kill("fetched", QUIET, "tasks.days:fetch", "after"),
    Kill("looked-up", QUIET, "driftune.intake.ingest:unchanged", "after"),
    Kill("staging", QUIET, "driftune.intake.stage:find_copies"),
    Kill("staged", QUIET, "tasks.days:stage", "after", run="ci"),
    Kill("validating", QUIET, "driftune.intake.ingest:validate"),
    Kill("validated", QUIET, "driftune.intake.ingest:validate", "after"),
    Kill("docs-written", QUIET, "driftune.intake.ingest:write_quarantine", run="ci"),
    Kill("quarantine-written", QUIET, "driftune.intake.ingest:write_quarantine", "after"),
    Kill("profile-written", QUIET, "driftune.intake.ingest:write_profile", "after"),
    Kill("record-written", QUIET, "driftune.intake.ingest:record_quality", "after", run="ci"),
    Kill("part-written", QUIET, "driftune.intake.commit:_write", "after"),
    Kill("part-in-the-lake", QUIET, "driftune.intake.commit:_replace_partition", run="ci"),
    Kill("lake-committed", QUIET, "driftune.intake.commit:_replace_partition", "after", run="fast"),
    Kill("columns-recorded", QUIET, "driftune.intake.ingest:record_columns", "after"),
    Kill("ledger-written", QUIET, "driftune.registry.ledger:Ledger.record_day", "after",
         run="ci"),
    Kill("release-ended", QUIET, "driftune.intake.ingest:finish", "after"),
    Kill("champions-checked", QUIET, "tasks.guard:check_champions", "after"),
    Kill("windows-before", QUIET, "driftune.drift.windows:write_counts"),
    Kill("windows-drawn", QUIET, "driftune.drift.windows:write_counts", "after", run="ci"),
    Kill("domains-read", QUIET, "driftune.drift.measure:profiles_of", "after"),
    Kill("all-domains-measured", QUIET, "driftune.drift.measure:measure_domains", "after"),
    Kill("decisions-before", QUIET, "driftune.registry.deciding:_decide_quiet"),
    Kill("all-domains-decided", QUIET, "driftune.registry.deciding:_decide_quiet", "after",
         run="ci"),
    Kill("site-begun", QUIET, "driftune.reports.site:write_text", "after", 2),
    Kill("site-before-its-front", QUIET, "driftune.reports.site:front_view", "before", run="ci"),
    Kill("site-written", QUIET, "tasks.reporting:build_site", "after"),
    Kill("publish-before", QUIET, "tasks.reporting:create_markdown_artifact"),
    Kill("published", QUIET, "tasks.reporting:create_link_artifact", "after"),
    Kill("messages-before", QUIET, "tasks.notices:send"),
)  # fmt: skip

DRIFT = (
    Kill("alert-before", ALERTS, "tasks.drift:emit_event", run="ci"),
    Kill("alert-after", ALERTS, "tasks.drift:emit_event", "after"),
    Kill("pages-before", ALERTS, "driftune.drift.pages:write_drift_page"),
    Kill("pages-written", ALERTS, "driftune.drift.pages:write_pages", "after"),
    Kill("drifted-decided", DRIFTS, "driftune.drift.detect:decide_day", "after"),
    Kill("day-claimed", DRIFTS, "driftune.registry.ledger:Ledger.claim", "after"),
    Kill("day-promoted", DRIFTS, "driftune.adaptation.promotion:mirror", "after"),
    Kill("day-promoted-no-alias", DRIFTS, "driftune.adaptation.promotion:mirror", mend=True),
)

ADAPTATION = (
    Kill("claim-before", ADAPTS, "driftune.registry.ledger:Ledger.claim"),
    Kill("claimed", ADAPTS, "driftune.registry.ledger:Ledger.claim", "after", run="fast"),
    Kill("tuning-first-epoch", ADAPTS, "driftune.adaptation.held:HeldClaims.renew", "after", 2),
    Kill("tuning-later-epoch", ADAPTS, "driftune.adaptation.held:HeldClaims.renew", "before", 5,
         run="ci"),
    Kill("tuning-checkpoint", ADAPTS,
         "driftune.models.adapters.checkpoint:Checkpoint.save", "after", 2),
    Kill("challenger-before", ADAPTS, "driftune.adaptation.finetune:save_adapter"),
    Kill("challenger-half", ADAPTS, "driftune.models.adapters.files:_move"),
    Kill("challenger-written", ADAPTS, "driftune.adaptation.finetune:save_adapter", "after"),
    Kill("gate-before", ADAPTS, "driftune.adaptation.steps:challenge"),
    Kill("gated", ADAPTS, "driftune.adaptation.steps:challenge", "after", run="ci"),
    Kill("promotion-copying", ADAPTS, "driftune.adaptation.promotion:shutil.copytree", "after"),
    Kill("promotion-copied", ADAPTS, "driftune.adaptation.promotion:register", run="ci"),
    Kill("promotion-run-logged", ADAPTS,
         "mlflow.tracking:MlflowClient.log_artifacts", "after"),
    Kill("promotion-model-named", ADAPTS,
         "mlflow.tracking:MlflowClient.create_registered_model", "after"),
    Kill("promotion-registered", ADAPTS, "driftune.adaptation.promotion:register", "after",
         run="ci"),
    Kill("promotion-adapter-row", ADAPTS,
         "driftune.registry.ledger:Ledger.add_adapter", "after"),
    Kill("promotion-switched", ADAPTS, "driftune.registry.ledger:Ledger.switch", "after",
         run="fast"),
    Kill("promotion-finished", ADAPTS, "driftune.registry.ledger:Ledger.finish", "after"),
    Kill("promotion-no-alias", ADAPTS, "driftune.adaptation.promotion:mirror", mend=True,
         run="ci"),
    Kill("promotion-alias", ADAPTS, "driftune.adaptation.promotion:mirror", "after"),
    Kill("adapt-report-before", ADAPTS, "tasks.reporting:build_site"),
)  # fmt: skip

ROLLBACK = (
    Kill("check-written-not", GUARDS, "driftune.registry.checks:insert_new", run="ci"),
    Kill("check-in-its-transaction", GUARDS, "driftune.registry.rollback:restore", "after"),
    Kill("rollback-no-alias", GUARDS, "driftune.guard.check:mirror", mend=True),
    Kill("rollback-alias", GUARDS, "driftune.guard.check:mirror", "after"),
    Kill("rollback-event-before", GUARDS, "tasks.guard:emit_event", run="ci"),
    Kill("rollback-event-after", GUARDS, "tasks.guard:emit_event", "after"),
    Kill("by-hand-before", BACK, "driftune.registry.rollback:restore"),
    Kill("by-hand-in-its-transaction", BACK, "driftune.registry.rollback:restore", "after",
         run="ci"),
    Kill("by-hand-no-alias", BACK, "driftune.registry.rollback:mirror", mend=True, again=False),
    Kill("by-hand-alias", BACK, "driftune.registry.rollback:mirror", "after", again=False),
)  # fmt: skip

HOUR, DAYS = 3600.0, 86400.0

TROUBLES = (
    Trouble("clock-an-hour-back-drift", DRIFTS, "clock", seconds=-HOUR, run="ci"),
    Trouble("clock-three-days-back-day", QUIET, "clock", seconds=-3 * DAYS),
    Trouble("clock-a-day-back-adapt", ADAPTS, "clock", seconds=-DAYS, run="ci"),
    Trouble("clock-a-day-on-adapt", ADAPTS, "clock", seconds=DAYS),
    Trouble("clock-a-day-back-after-promotion", LATER, "clock", seconds=-DAYS, run="ci"),
    Trouble("clock-an-hour-back-guard", GUARDS, "clock", seconds=-HOUR),
    Trouble("clock-an-hour-back-rollback", BACK, "clock", seconds=-HOUR, again=False),
    Trouble("ledger-locked-for-moments-day", QUIET, "locked", seconds=5, run="ci"),
    Trouble("ledger-locked-for-moments-adapt", ADAPTS, "locked", seconds=5),
    Trouble("ledger-locked-for-long-adapt", ADAPTS, "locked", seconds=150, ends=1),
    Trouble("registry-away-adapt", ADAPTS, "away", ends=1, run="ci"),
    Trouble("registry-away-day", DRIFTS, "away", ends=1),
    Trouble("registry-away-rollback", BACK, "away", again=False, mend=True),
    Trouble("registry-away-quiet-day", QUIET, "away"),
    Trouble("full-mlflow", ADAPTS, "full", "mlflow", ends=1),
    Trouble("full-adapters", ADAPTS, "full", "adapters", ends=1),
    Trouble("full-challengers", ADAPTS, "full", "challengers", ends=1),
    Trouble("full-reports", QUIET, "full", "reports"),
    Trouble("full-quality", QUIET, "full", "quality", ends=1),
    Trouble("full-windows", QUIET, "full", "drift", ends=1),
    Trouble("two-days-at-once", QUIET, "beside", "daily", run="ci"),
    Trouble("two-drifting-days-at-once", DRIFTS, "beside", "daily"),
    Trouble("two-adapts-at-once", ADAPTS, "beside", "adapt", run="ci"),
    Trouble("reconcile-beside-a-day", DRIFTS, "beside", "reconcile", run="ci"),
    Trouble("reconcile-beside-an-adapt", ADAPTS, "beside", "reconcile"),
    Trouble("reconcile-beside-a-guarded-day", GUARDS, "beside", "reconcile"),
    Trouble("server-restarted-in-the-day", QUIET, "server",
            "driftune.registry.ledger:Ledger.record_day", ends=None, run="ci"),
    Trouble("server-restarted-while-tuning", ADAPTS, "server",
            "driftune.adaptation.held:HeldClaims.renew", ends=None),
    Trouble("server-restarted-before-the-alert", ALERTS, "server",
            "tasks.drift:emit_event", ends=None),
    Trouble("server-restarted-before-the-alias", DRIFTS, "server",
            "driftune.adaptation.promotion:mirror", ends=None, mend=True),
)  # fmt: skip
