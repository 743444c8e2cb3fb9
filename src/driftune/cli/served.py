"""The terminal's lines on what serves where."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from driftune.cli.lines import say

if TYPE_CHECKING:
    from driftune.serving.where import BundleStatus, ProcessStatus

_MOST = 5
_SERVES = {"current": "this bundle", "former": "a former bundle", "silent": "silent, may be gone"}


def show_bundles(bundles: "Sequence[BundleStatus]") -> None:
    """Print each bundle, where it lies behind the champions, and the processes that serve it."""
    for bundle in bundles:
        what = "" if bundle["bundle"] is None else f"bundle {bundle['bundle'][:12]}, "
        what += "cannot be read" if bundle["day"] is None else f"counters up to {bundle['day']}"
        say(f"{bundle['place']}: {what}")
        if bundle["problem"]:
            say(f"  {bundle['problem']}")
        _some("  behind: ", bundle["differs"])
        if bundle["differs"]:
            say(f"  export it again: driftune export --to {bundle['place']}")
        for process in bundle["processes"]:
            _show(process)
        if bundle["unreadable"]:
            say(f"  {bundle['unreadable']} files of processes cannot be read")


def _show(process: "ProcessStatus") -> None:
    say(
        f"  {process['host']} {process['pid']}: {_SERVES[process['state']]} "
        f"({process['bundle'][:12]}), since {process['since']}, seen {process['seen']}"
    )
    _some("    serves ", process["differs"])
    if process["problem"]:
        say(f"    {process['problem']}")


def _some(before: str, lines: Sequence[str]) -> None:
    for line in lines[:_MOST]:
        say(f"{before}{line}")
    if len(lines) > _MOST:
        say(f"{before}{len(lines) - _MOST} more: driftune status --json")
