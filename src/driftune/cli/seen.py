"""The table of what the roles make of real rows."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from driftune.deployment.roles import SeenRoles
from driftune.visible import visible

SHOWN_DOMAINS, SHOWN_SIGNS = 20, 40


def show_roles(seen: SeenRoles) -> None:
    """Print what each role reads from where on a real day, and the rows and clicks by domain."""
    if not seen.roles:
        return
    console = Console()
    table = Table(box=None, header_style="bold", title=f"{seen.day}, as read", title_justify="left")
    for name in ("role", "from", "values (as delivered → as read)"):
        table.add_column(name, overflow="fold")
    for role in seen.roles:
        values = (
            _shown(was or now)
            if was in (None, now, _whole(now))
            else f"{_shown(was)} → {_shown(now)}"
            for was, now in role.values
        )
        table.add_row(role.role, plain(role.source), plain(" | ".join(values)))
    console.print(table)
    domains = Table(box=None, header_style="bold")
    for name in ("domain", "rows", "clicks", "click rate"):
        domains.add_column(name, overflow="fold")
    for row in seen.domains[:SHOWN_DOMAINS]:
        rate = f"{row.clicks / row.rows:.2%}"
        domains.add_row(plain(row.domain), f"{row.rows:,}", f"{row.clicks:,}", rate)
    console.print(domains)
    if (more := len(seen.domains) - SHOWN_DOMAINS) > 0:
        console.print(f"and {more:,} domains more, with fewer rows")


def _whole(value: str | None) -> str | None:
    """A number without the fraction that it does not have."""
    return value and value.removesuffix(".0")


def _shown(value: str | None) -> str:
    """A value, cut to what a line can hold."""
    if value is None:
        return "null"
    return value if len(value) <= SHOWN_SIGNS else f"{value[: SHOWN_SIGNS - 1]}…"


def plain(text: str) -> Text:
    """A text whose brackets and control characters mean nothing."""
    return Text(visible(text))
