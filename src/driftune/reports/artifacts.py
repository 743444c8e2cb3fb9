"""A day as markdown, a table and links: what an orchestrator shows beside a run."""

import html
import re
from datetime import date
from pathlib import Path
from typing import TypedDict

from driftune.domains import domain_key
from driftune.quality.record import DayQuality
from driftune.reports.states import STATES, domain_quality
from driftune.reports.summary import DayRow, moved
from driftune.visible import visible

# Broken rules come by severity, the gravest first.
SEVERITIES = ("critical", "warning", "info")
REFUSED = "refused"
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~>-])")
# What a reader of markdown takes for an address: a scheme's colon, the dot of www., an at sign.
_ADDRESS = re.compile(r":(?=//)|(?<=www)\.|@", re.IGNORECASE)


class TableRow(TypedDict):
    """A domain's day as an orchestrator's table shows it."""

    domain: str | None
    quality: str
    rows: int | None
    rejected: int | None
    click_rate: float | None
    drift: float | None
    state: str
    rule: str | None
    auc_before: float | None
    auc_after: float | None
    champion: int | None
    rolled_back: str | None
    why: str
    page: str | None


def day_summary(day: date, quality: DayQuality | None, rows: list[DayRow], site: Path) -> str:
    """The day as markdown: quality, broken rules, domains by state, what happened to which.

    Args:
        rows: of ``day_rows``.
        site: the review site's folder, which the links lead into.
    """
    links = [f"[{name}]({address})" for name, address in day_links(day, site).items()]
    lines = [f"# {day}", "", " · ".join(links), ""]
    if quality is not None:
        lines += [
            f"Quality **{quality.verdict}**: {_rows(quality)}.",
            "",
            *_broken(quality),
            *_domains_refused(quality),
        ]
    if rows:
        lines += ["## Domains", "", _states(rows), ""]
    told = [row for row in rows if row["state"] != "stable" or row["rolled_back"]]
    for row in told:
        page = _domain_page(site, row)
        named: DayRow = {**row, "domain": f"[{plain(row['domain'])}]({page})"}
        lines.append(f"- {moved(named)}: {plain(row['why'])}")
    return "\n".join(lines).rstrip() + "\n"


def day_table(quality: DayQuality | None, rows: list[DayRow], site: Path) -> list[TableRow]:
    """A row per domain of the day: counts of its quality record, drift, decision, page.

    Domains that were delivered but have no decision are among them.
    """
    counted = {} if quality is None else {row["key"]: row for row in quality.domains}
    decided = {domain_key(row["domain"]): row for row in rows}
    table: list[TableRow] = []
    for key in [*decided, *(key for key in counted if key not in decided)]:
        counts, row = counted.get(key), decided.get(key)
        accepted = counts["rows"] if counts else None
        own = domain_quality(counts)
        refused = quality is not None and quality.verdict == REFUSED
        table.append(
            {
                "domain": _shown(row["domain"] if row else counts["domain"] if counts else None),
                "quality": own["label"]
                if own and not refused
                else (quality.verdict if quality else ""),
                "rows": accepted,
                "rejected": counts["rejected"] if counts else None,
                "click_rate": round(counts["clicks"] / accepted, 4)
                if counts and accepted
                else None,
                "drift": row["drift"] if row else None,
                "state": row["state"] if row else "no decision",
                "rule": row["rule"] if row else None,
                "auc_before": row["before"] if row else None,
                "auc_after": row["after"] if row else None,
                "champion": row["champion"] if row else None,
                "rolled_back": row["rolled_back"] if row else None,
                "why": visible(
                    (row["why"] if row else "")
                    or "; ".join(own["reasons"] if own else [])
                    or ("the day was refused whole" if refused else "")
                ),
                "page": (site / "domain" / f"{key}.html").as_uri() if row else None,
            }
        )
    return table


def day_links(day: date, site: Path) -> dict[str, str]:
    """Addresses of the day's pages that exist, by their names."""
    pages = {
        "day": site / "day" / f"{day}.html",
        "Data Docs": site / "data_docs" / f"{day}.html",
        "all days and domains": site / "index.html",
    }
    return {name: page.as_uri() for name, page in pages.items() if page.exists()}


def plain(text: str) -> str:
    """Text of any kind as markdown that shows it as it is, in one line."""
    text = html.escape(" ".join(visible(text).split()), quote=False)
    # An address of data is no link.
    return _ADDRESS.sub(lambda found: f"&#{ord(found[0])};", _MARKUP.sub(r"\\\1", text))


def _shown(name: str | None) -> str | None:
    return None if name is None else visible(name)


def _rows(quality: DayQuality) -> str:
    """What became of the day's rows, in a phrase."""
    if quality.verdict == REFUSED:
        return f"none of its {quality.rows:,} rows is taken in, {quality.rejected:,} are rejected"
    drawn = f"{quality.drawn:,} drawn beside them, " if quality.drawn else ""
    return f"{quality.accepted:,} rows accepted, {drawn}{quality.rejected:,} rejected"


def _broken(quality: DayQuality) -> list[str]:
    broken = [check for check in quality.checks if not check["success"]]
    order = {severity: place for place, severity in enumerate(SEVERITIES)}
    broken.sort(key=lambda check: order.get(check["severity"], len(order)))
    lines = []
    for check in broken:
        figure = ""
        if check["unexpected"] is not None:
            figure = f" ({check['unexpected']:,} rows)"
        elif check["observed"] is not None:
            figure = f" (observed {check['observed']:.4g})"
        lines.append(f"- **{plain(check['severity'])}**: {plain(check['sentence'])}{figure}")
    return [*lines, ""] if lines else []


def _domains_refused(quality: DayQuality) -> list[str]:
    """Domains whose own verdict is not ok, where the record has such verdicts."""
    lines = []
    for row in quality.domains:
        own = domain_quality(row)
        if own and own["name"] != "ok":
            reasons = "; ".join(own["reasons"])
            lines.append(f"- {plain(row['domain'])}: {own['label']}. {plain(reasons)}".rstrip())
    return [*lines, ""] if lines else []


def _states(rows: list[DayRow]) -> str:
    """How many domains are in which state."""
    states = [row["state"] for row in rows]
    known = [state for state in STATES if state in states]
    other = sorted({*states} - {*STATES})
    counts = [(state, states.count(state)) for state in known + other]
    return ", ".join(f"{count} {STATES.get(state, ('', state))[1]}" for state, count in counts)


def _domain_page(site: Path, row: DayRow) -> str:
    return (site / "domain" / f"{domain_key(row['domain'])}.html").as_uri()
