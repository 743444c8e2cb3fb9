"""Why a day is refused, in words: what is wrong with its rows first, with one of them."""

from collections import Counter

from driftune.config import Config
from driftune.lake.duck import Connection, connect, identifier
from driftune.lake.loading import delivered_types
from driftune.lake.roles import OPTIONAL
from driftune.quality.record import DayQuality
from driftune.quality.rules import UNREADABLE, RowRule, unreadable_columns
from driftune.quality.staged import Staged

# Rules that rows break, most rows first, of which so many are told.
SHOWN = 3
# What only says again that many rows are rejected.
_FOLLOWS = {"domains_refused", "domain_rejected", "no_rows"}
_OF_TIME = {"time_unreadable", "other_day"}
_LABELS = {"click_label": "click_label", "convert_label": "convert_label"}
_LABEL = 'name the label, or write an expression that gives 0 or 1: {sql: "…"}'
_LIMITS = {"enough_rows": " (quality.min_rows)", "rejected_share": " (quality.max_rejected_share)"}
_REMEDIES = {
    "user_missing": ("columns.user", "name a column that says it in every row, or deliver it"),
    "item_missing": ("columns.item", "name a column that says it in every row, or deliver it"),
    "time_unreadable": ("columns.time", "say how it is written: unit or format"),
    "other_day": ("columns.time", "see to it, to timezone, and to the day in the file's name"),
    "domain_missing": ("columns.domain", "name a column that says it in every row, or deliver it"),
    "click_label": ("columns.click", _LABEL),
    "convert_label": ("columns.convert", _LABEL),
    "convert_without_click": ("columns.convert", "count it where there is a click, too"),
    UNREADABLE: ("", "write it with a point alone, cast it, or leave the role out"),
    "duplicate": ("quality.severity: duplicate", "deliver each row once"),
    "domain_unknown": ("domains.unknown", "write other, or pre-train on days that have it"),
}


def refusal(config: Config, staged: Staged, quality: DayQuality) -> list[str]:
    """The sentences of what a refused day has broken.

    What its rows have broken goes first, by number of rows, each with its first row, its key in
    params.yaml and what to do; rules that only count such rows are left out then.
    """
    broken = [check for check in quality.checks if not check["success"]]
    critical = [check for check in broken if check["severity"] == "critical"]
    rules = {check["rule"] for check in critical}
    causes: list[str] = []
    if "rejected_share" in rules:
        reasons: Counter[str] = Counter()
        for row in quality.rejections:
            if row["reason"] in _REMEDIES and not (
                "time_unit" in rules and row["reason"] in _OF_TIME
            ):
                reasons[row["reason"]] += row["rows"]
        named = {rule.name: rule for rule in staged.rules}
        with connect(staged.database, reach=staged.reach) as con:
            for reason, rows in reasons.most_common(SHOWN):
                # Names of columns and files are data of any shape.
                told = " ".join(_told(con, config, staged, named[reason]).split())
                share = f"{rows:,} of {quality.rows:,} rows"
                causes.append(f"{named[reason].sentence.rstrip('.')} — broken: {share}; {told}")
    left = _FOLLOWS if causes or "time_unit" in rules else set()
    rest = [check for check in critical if check["rule"] not in left]
    # Of how times are written, what they look like.
    rest.sort(key=lambda check: check["rule"] != "time_unit")
    return [*causes, *(quality.problem(check) + _LIMITS.get(check["rule"], "") for check in rest)]


def _told(con: Connection, config: Config, staged: Staged, rule: RowRule) -> str:
    """The first row that breaks a rule, what it has there, and what to do."""
    key, remedy = _REMEDIES[rule.name]
    found = con.execute(
        "SELECT min(row_id) FROM broken WHERE list_contains(string_split(reasons, ', '), ?)",
        [rule.name],
    ).fetchall()
    column, value = rule.column, "NULL::VARCHAR"
    types = delivered_types(con)
    if rule.name == UNREADABLE:
        column = next((name for name in unreadable_columns(config, staged)), column)
        column = column.removeprefix("x_") if column not in types else column
        key = next(
            (f"columns.{name}" for name in OPTIONAL if getattr(config.columns, name) == column),
            "features.numerical",
        )
    if column in types:
        value = f"raw.{identifier(column)}::VARCHAR"
    elif rule.name in _LABELS:
        value = f"staged.{_LABELS[rule.name]}::VARCHAR"
    rows = con.execute(
        f"SELECT staged.file, staged.file_row, left({value}, 60) FROM staged "
        "LEFT JOIN raw ON raw._driftune_id = staged.row_id WHERE staged.row_id = ?",
        found[0],
    ).fetchall()
    named = f"{key}: {column}" if column in types else key
    for file, number, given in rows:
        has = "nothing" if given is None else repr(given)
        shown = f", which has {has}" if column in types or given is not None else ""
        return f"the first is row {number} of {file}{shown} ({named}); {remedy}"
    return f"{named}: {remedy}"
