"""What of a day's lists and labels reads as if params.yaml meant another log."""

from driftune.config import Config
from driftune.lake.duck import Connection, one_row
from driftune.registry.rows import Finding

# Fewer lists may all be short.
LEAST_LISTS = 20


def odd(con: Connection, config: Config, rows: int, clicks: int) -> list[Finding]:
    """Lists of one element each, and labels beside ``negatives``.

    ``rows``: the day's accepted rows, of which ``clicks`` are clicks.
    """
    found: list[Finding] = []
    if config.source.explode is not None:
        lists, most, example = one_row(
            con,
            "SELECT count(*) FILTER (element = 1), max(element), left(any_value(item_id), 60) "
            "FROM parsed",
        )
        if most == 1 and lists >= LEAST_LISTS:
            what = (
                f"lists: each of {lists:,} lists has one element, such as {example!r}; see to "
                "source.explode.separator and source.explode.columns"
            )
            found.append({"what": what, "ok": False})
    if config.negatives is not None and 0 < clicks < rows:
        what = (
            f"negatives: WARNING: {rows - clicks:,} of {rows:,} rows were delivered without a "
            "click; rows are drawn for logs of clicks alone: leave negatives out"
        )
        found.append({"what": what, "ok": True})
    return found
