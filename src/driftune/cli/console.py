"""The terminal: progress bars and log lines while work runs, errors in one line, tables."""

import atexit
import logging
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from driftune.cli.lines import say
from driftune.observe.logs import structured
from driftune.progress import LOGGER
from driftune.redact import redact
from driftune.visible import traceback_text, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftune.registry.history import SwitchEntry
    from driftune.registry.review import ReviewEntry
    from driftune.registry.rows import Finding
    from driftune.registry.status import DomainStatus


class _Lines(logging.Handler):
    """Log records as plain lines above the bars; ``least``: the level from which on."""

    least = logging.INFO

    def __init__(self, console: Console) -> None:
        super().__init__(self.least)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = "red" if record.levelno >= logging.ERROR else ""
        if record.levelno == logging.WARNING:
            style = "yellow"
        text = visible(record.getMessage())
        if record.exc_info:
            text += "\n" + redact(traceback_text(record.exc_info))
        self.console.print(Text(text, style), soft_wrap=True, highlight=False)


class _Bars(logging.Handler):
    """Progress records as bars, one per kind of work."""

    def __init__(self, bars: Progress) -> None:
        super().__init__(logging.DEBUG)
        self.bars = bars
        self.known: dict[str, TaskID] = {}

    def emit(self, record: logging.LogRecord) -> None:
        what, done, total = (getattr(record, name, None) for name in ("what", "done", "total"))
        if what is None or total is None:
            return
        if what not in self.known:
            self.known[what] = self.bars.add_task(escape(visible(what)), total=total)
        self.bars.update(self.known[what], completed=done, total=total)
        if done == total:
            self.bars.remove_task(self.known.pop(what))


@contextmanager
def progress(*, as_json: bool = False) -> Iterator[None]:
    """Show log lines, and bars where the terminal can draw them, on stderr.

    ``as_json``: lines as JSON objects (see ``observe.logs``), and no bars.
    """
    console = Console(stderr=True)
    logger, steps = logging.getLogger("driftune"), logging.getLogger(LOGGER)
    lines = structured(logging.StreamHandler()) if as_json else _Lines(console)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=as_json or not console.is_terminal,
    ) as bars:
        handler = _Bars(bars)
        logger.addHandler(lines)
        steps.addHandler(handler)
        before = [(each, each.level, each.propagate) for each in (logger, steps)]
        logger.setLevel(_Lines.least)
        steps.setLevel(logging.DEBUG)
        logger.propagate = steps.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(lines)
            steps.removeHandler(handler)
            for each, level, propagate in before:
                each.setLevel(level)
                each.propagate = propagate


def show_debug(on: bool) -> None:
    """Whether lines of level debug are shown, with where a program crashed."""
    _Lines.least = logging.DEBUG if on else logging.INFO


def fail(message: str) -> None:
    """Print an error on stderr, in one line."""
    line = " ".join(message.split())
    Console(stderr=True).print(_text(f"error: {line}", "bold red"), soft_wrap=True, highlight=False)


def show_status(rows: "list[DomainStatus]") -> None:
    """Print domains with champion, last drift and last decision."""
    from driftune.registry.records.states import word

    console = Console()
    if not rows:
        console.print("No decisions yet: driftune run, or driftune replay --from DAY --to DAY")
        return
    heads = ("domain", "champion", "since", "last day", "drift", "decision")
    right = ("champion", "drift")
    lines = [
        (
            visible(row["domain"]),
            _champion(row),
            row["since"] or "",
            row["day"] or "",
            "" if row["drift"] is None else f"{row['drift']:.2f}×",
            visible(_with_stale(word(row["state"] or ""), row["stale"])),
        )
        for row in rows
    ]
    if len(rows) > _MOST_STYLED:
        _plain_columns(heads, lines, right)
    else:
        table = Table(box=None, header_style="bold")
        for name in heads:
            table.add_column(name, justify="right" if name in right else "left")
        for row, line in zip(rows, lines, strict=True):
            style = _STYLES.get(row["state"] or "", "")
            table.add_row(Text(line[0]), *line[1:-1], Text(line[-1], style))
        console.print(table)
    _show_reasons(console, rows)
    held = sum(row["state"] == "review" for row in rows)
    if held:
        console.print(f"{held} domain(s) wait for approval: driftune approve --list")


def _plain_columns(
    heads: Sequence[str], lines: Sequence[Sequence[str]], right: Collection[str]
) -> None:
    """Print aligned columns without styles: Rich takes a millisecond a row."""
    widths = [max(map(cell_len, column)) for column in zip(heads, *lines, strict=True)]
    for line in (heads, *lines):
        cells = []
        for head, cell, width in zip(heads, line, widths, strict=True):
            gap = " " * (width - cell_len(cell))
            cells.append(gap + cell if head in right else cell + gap)
        sys.stdout.write(f" {'  '.join(cells)}".rstrip() + "\n")
    sys.stdout.flush()


def _champion(row: "DomainStatus") -> str:
    """The champion with what is to be known of it: stale, weak."""
    told = {"stale": row["champion_stale"], "weak": row["champion_weak"]}
    marks = [name for name, why in told.items() if why]
    name = f"v{row['champion']}" if row["champion"] else "base"
    return f"{name} ({', '.join(marks)})" if marks else name


def _show_reasons(console: Console, rows: "list[DomainStatus]") -> None:
    """Print why champions are stale or weak, and why domains were not measured or not promoted."""
    lines = [f"{row['domain']}: {row['champion_stale']}" for row in rows if row["champion_stale"]]
    lines += [f"{row['domain']}: {row['champion_weak']}" for row in rows if row["champion_weak"]]
    lines += [f"{row['domain']}: {row['why']}" for row in rows if row["state"] in _EXPLAINED]
    for line in lines[:_MOST_REASONS]:
        console.print(_text(line), soft_wrap=True)
    if len(lines) > _MOST_REASONS:
        console.print(f"… and {len(lines) - _MOST_REASONS} more: driftune status --json")


def show_findings(findings: "Sequence[Finding]") -> None:
    """Print findings, a line each: whether it is ``ok``, and ``what`` it is."""
    for finding in findings:
        say(f"{'ok  ' if finding['ok'] else 'FAIL'}  {finding['what']}")


def show_history(rows: "list[SwitchEntry]", reviews: "list[ReviewEntry]") -> None:
    """Print the switches of a domain's champion, and what was approved and declined."""
    console = Console()
    for each in reviews:
        at = each["at"].removesuffix("+00:00").replace("T", " ")
        line = f"{at}  {each['verdict']} {each['decision']} by {each['who']}: {each['why']}"
        console.print(_text(line), soft_wrap=True)
    if not rows:
        console.print("No champion was switched; the frozen base serves")
        return
    table = Table(box=None, header_style="bold")
    for name in ("when (UTC)", "action", "champion", "by", "why", "decision", "data", "backbone"):
        table.add_column(name, overflow="fold")
    for row in rows:
        versions = [f"v{end}" if end else "base" for end in (row["from"], row["to"])]
        table.add_row(
            row["at"].removesuffix("+00:00").replace("T", " "),
            row["action"],
            " → ".join(versions),
            _text(row["who"]),
            _text(row["why"]),
            _text(_with_stale(row["decision"] or "", row["stale"])),
            (row["data_version"] or "")[:12],
            (row["backbone"] or "")[:12],
        )
    console.print(table)


def _text(text: str, style: str = "") -> Text:
    """Text as it is: no markup in it, control characters as escapes."""
    return Text(visible(text), style)


def _with_stale(text: str, stale: str | None) -> str:
    return text if stale is None else f"{text} (stale: {stale})"


def show_policies(found: dict[str, Any]) -> None:
    """Print what a comparison of policies found."""
    table = Table(box=None, header_style="bold")
    table.add_column("policy")
    for name in ("fine-tunes", "promoted", "minutes", "AUC gained (95%)", "of the refresh's gain"):
        table.add_column(name, justify="right")
    for row in found["policies"]:
        gain, part = row["gain"], row["gain_share"]["value"]
        table.add_row(
            _text(row["policy"]),
            f"{row['finetunes']:,}",
            f"{row['promoted']:,}",
            f"{row['seconds'] / 60:.1f}",
            f"{gain['value']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f})",
            "–" if part is None else f"{part:.0%}",
        )
    console = Console(stderr=True)
    console.print(table)
    days = f"{found['first']} to {found['last']}, {found['domain_days']:,} domain-days"
    console.print(f"{days}; a day is judged by the champions that the days before it left")


def show_needs(found: dict[str, Any]) -> None:
    """Print the rows and days that promotions need."""
    table = Table(box=None, header_style="bold")
    table.add_column("domain")
    heads = ("rows a day", "rate", "AUC", "users", "first look", "interval", "needed", "days")
    for name in heads:
        table.add_column(name, justify="right")
    for row in found["domains"]:
        needed, confidence = row["gate_rows"], row["confidence"]
        table.add_row(
            _text(row["domain"]),
            f"{row['rows_a_day']:,.0f}",
            f"{row['click_rate']:.1%}",
            f"{row['auc']:.3f}" + ("" if row["auc_known"] else " ?"),
            f"{row['effective_users_a_day']:,.0f}",
            f"{row['first_rows']:,}",
            "–" if confidence is None else f"{confidence:.2%}",
            "–" if needed is None else f"{needed:,}",
            f"never: {row['never']}" if row["days"] is None else f"{row['days']}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"{found['first']} to {found['last']}: for a true gain of {found['gain']:g} at "
        f"{found['power']:.0%} power, score correlation {found['correlation']:g}, "
        f"gate.min_effect {found['min_effect']:g}, {found['decisions_a_day']} decision(s) a day "
        f"sharing an error of {found['error']:.2g}, {found['looks']} look(s) at most. "
        "Rows are those that judge; users: effective ones a day; ?: assumed, no gate report yet."
    )


# States whose reason is shown below the table of domains.
_EXPLAINED = (
    *("insufficient", "new", "partial", "no-clicks", "only-clicks", "refused", "error"),
    *("rejected", "undecided", "waiting", "superseded", "failed"),
)
_MOST_REASONS = 30
# Of more domains the table has no styles.
_MOST_STYLED = 500
_STYLES = {
    "promoted": "green",
    "review": "yellow",
    "pending": "yellow",
    "claimed": "yellow",
    "waiting": "yellow",
    "failed": "red",
    "error": "red",
}


def quiet_exit() -> None:
    """Keep DuckDB's binding from listing its own objects on stderr when Python has ended.

    Great Expectations leaves the module referenced in a way that the binding takes for a leak;
    exit handlers run in reverse order, so this first one closes stderr after all others.
    """

    def close() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

    atexit.register(close)
