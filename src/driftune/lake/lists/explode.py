"""Explode: each element of a row's lists becomes a row of ``raw``, as if delivered so."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from driftune.config import Config
from driftune.config.explode import CLICKED, LIST_ID, PLACE, Explode
from driftune.errors import SourceError
from driftune.lake import roles
from driftune.lake.duck import Connection, identifier, literal, one_row
from driftune.lake.evolution import Change
from driftune.lake.lists.clicks import At, Clicks, Ids, Suffix
from driftune.lake.lists.paths import ListPath, NoListError, fields_of, find_list
from driftune.lake.loading import OWN, Loaded, delivered_types

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType


def explode(
    con: Connection, config: Config, day: str, loaded: Loaded
) -> tuple[Loaded, list[Change]]:
    """Replace the view ``raw`` by one whose rows are elements; the lists stay as view ``lists``.

    ``_driftune_row`` stays the number of the delivered row, ``_driftune_element`` is that of the
    element in it. Returns what is loaded now, and what is to be said of the lists.

    Raises:
        SourceError: for a path that leads to no list, or names that are taken.
    """
    settings = config.source.explode
    assert settings is not None
    con.execute("ALTER VIEW raw RENAME TO lists")
    described = con.sql("FROM lists LIMIT 0")
    types = dict(zip(described.columns, described.types, strict=True))
    delivered = {name: kind for name, kind in types.items() if name not in OWN}
    item, named = config.columns.item, set(roles.needed_columns(config))
    shown = item if isinstance(item, str) else None
    plan = ListPlan(settings, loaded.parts[0].file.uri, delivered, shown, named)
    plan.check_texts(con)
    con.execute(plan.table(day))
    con.execute("CREATE VIEW raw AS FROM elements")
    (rows,) = one_row(con, "SELECT count(*) FROM elements")
    if rows == 0:
        raise SourceError(
            f"{plan.uri}: none of its {loaded.rows:,} lists has an element "
            f"({', '.join(settings.columns.values())}, source.explode); deliver it again"
        )
    made = delivered_types(con)
    mixed = tuple(each for each in loaded.together.mixed if each.column in made)
    together = replace(loaded.together, types=made, mixed=mixed)
    return replace(loaded, rows=rows, together=together, derived=()), plan.changes(con)


def no_click(con: Connection) -> list[Change]:
    """Lists of ``parsed`` in which nothing was clicked."""
    lists, without = one_row(
        con,
        "SELECT count(*), count(*) FILTER (clicks IS NOT TRUE) FROM "
        "(SELECT bool_or(click_value = 1) AS clicks FROM parsed GROUP BY file, file_row)",
    )
    said = f"Every list has a click: {without:,} of {lists:,} have none."
    return [Change.of("list_no_click", said, without)] if without else []


class ListPlan:
    """SQL by which the columns of one day's ``lists`` become rows of elements."""

    def __init__(
        self,
        settings: Explode,
        uri: str,
        types: dict[str, "DuckDBPyType"],
        item: str | None,
        named: Collection[str],
    ) -> None:
        """Plan the rows.

        Args:
            settings: the lists.
            uri: the file that errors name.
            types: the delivered columns.
            item: the column that says what was shown, if it is one; else the first list's is it.
            named: columns that are kept though lists are taken from them.

        Raises:
            SourceError: for a path that leads to no list, or names that are taken.
        """
        self.settings, self.uri, self.types = settings, uri, types
        self.paths = {
            name: self._find(path, f"columns.{name}") for name, path in settings.columns.items()
        }
        # Several fields of one list are taken from it at once.
        self.lists = list(dict.fromkeys(path.sql for path in self.paths.values()))
        self.shown = item if item in self.paths else next(iter(self.paths))
        self.clicks = _clicks(settings, self.paths[self.shown], self._find)
        self.others = self._others(named)

    def check_texts(self, con: Connection) -> None:
        """See that every text that is to be a list is one.

        Raises:
            SourceError: naming the first that is not.
        """
        for name, path in self.paths.items():
            if path.broken == "false":
                continue
            query = f"SELECT {identifier(path.column)}, _driftune_file, _driftune_row FROM lists"
            found = con.execute(f"{query} WHERE {path.broken} LIMIT 1").fetchall()
            for text, file, row in found:
                raise SourceError(
                    f"{file}: '{' '.join(text.split())[:60]}' in row {row} "
                    f"(source.explode.columns.{name}) is no list; say what stands between its "
                    "elements: source.explode.separator"
                )

    def table(self, day: str) -> str:
        """The statement that creates the table ``elements``."""
        numbered = [f"{sql} AS _driftune_l{number}" for number, sql in enumerate(self.lists)]
        longest = ", ".join(
            f"coalesce(len(_driftune_l{number}), 0)" for number in range(len(self.lists))
        )
        unnested = [
            f"unnest(_driftune_l{number}) AS _driftune_e{number}"
            for number in range(len(self.lists))
        ]
        elements = {
            name: f"_driftune_e{self.lists.index(path.sql)}" for name, path in self.paths.items()
        }
        fields = {name: path.field(elements[name]) for name, path in self.paths.items()}
        if self.clicks:
            fields[self.shown] = self.clicks.shown(elements[self.shown])
            fields[CLICKED] = self.clicks.label(elements[self.shown])
            numbered.append(f"{self.clicks.marks} AS _driftune_marks")
        made = [f"{sql} AS {identifier(name)}" for name, sql in fields.items()]
        others = [f"{sql} AS {identifier(name)}" for name, sql in self.others.items()]
        made.append(f"{literal(day)} || '-' || _driftune_sha || '-' || _driftune_row AS {LIST_ID}")
        made.append(PLACE)
        return f"""
            CREATE TABLE elements AS
            SELECT row_number() OVER () AS _driftune_id, _driftune_row, _driftune_file,
                   hash(_driftune_fingerprint, {PLACE}) AS _driftune_fingerprint,
                   {PLACE} AS _driftune_element, {", ".join([*others, *made])}
            FROM (
                SELECT * EXCLUDE (_driftune_n),
                       unnest(range(1, _driftune_n + 1)) AS {PLACE}, {", ".join(unnested)}
                FROM (
                    SELECT *, greatest(0, {longest}) AS _driftune_n
                    FROM (SELECT *, {", ".join(numbered)} FROM lists)
                )
            )
        """

    def changes(self, con: Connection) -> list[Change]:
        """What is to be said of the lists: those without an element, of several lengths, and clicks
        that are none of their elements."""
        lengths = [f"coalesce(len({sql}), 0)" for sql in self.lists]
        empty = f"greatest(0, {', '.join(lengths)}) = 0"
        unequal = f"greatest({', '.join(lengths)}) <> least({', '.join(lengths)})"
        outside = self.clicks.outside if self.clicks else "false"
        where = "_driftune_file || ', row ' || _driftune_row"
        figures = one_row(
            con,
            "SELECT "
            + ", ".join(
                f"count(*) FILTER ({condition}), min({where}) FILTER ({condition})"
                for condition in (empty, unequal if len(lengths) > 1 else "false", outside)
            )
            + " FROM lists",
        )
        sources = ", ".join(dict.fromkeys(self.settings.columns.values()))
        said = {
            "list_empty": "Every list has an element: that of {0} is the first without one, and no "
            "impression.",
            "list_unequal": f"Lists side by side ({sources}) are equally long: those of {{0}} are "
            "the first that are not; what is missing is null.",
            "list_click_outside": "Every click is an element of its list: that of {0} is the first "
            "that is none, and is left out.",
        }
        found = []
        for (rule, sentence), rows, first in zip(
            said.items(), figures[::2], figures[1::2], strict=True
        ):
            if rows:
                found.append(Change.of(rule, sentence.format(first), rows))
        return found

    def _find(self, path: str, key: str, *, alone: bool = False) -> ListPath:
        separator = self.settings.separator_of(path)
        try:
            return find_list(path, self.types, separator, alone=alone)
        except NoListError as error:
            raise SourceError(
                f"{self.uri}: '{path}' (source.explode.{key} in params.yaml) {error}"
            ) from None

    def _others(self, named: Collection[str]) -> dict[str, str]:
        """The delivered columns beside the lists, which every row of a list repeats: by name, SQL.

        What the lists are taken from is left out, but where a role names it.
        """
        gone = {path.column for path in self.paths.values() if not path.within}
        if self.clicks and self.clicks.source and not self.clicks.source.within:
            gone.add(self.clicks.source.column)
        kept = {
            name: self._without_lists(name)
            for name in self.types
            if name not in gone or (name in named and name not in self.settings.made)
        }
        lower = {name.lower(): name for name in kept}
        for name in self.settings.made:
            if other := lower.get(name.lower()):
                raise SourceError(
                    f"{self.uri}: has the column '{other}', and source.explode makes one of that "
                    "name; call it otherwise in source.explode.columns, or deliver the other one "
                    "under another name"
                )
        return kept

    def _without_lists(self, column: str) -> str:
        """A column without the lists in it: each element would repeat them all."""
        drop = [path.within for path in self.paths.values() if path.column == column]
        return _without(identifier(column), self.types[column], drop)


def _clicks(settings: Explode, first: ListPath, find: Callable[..., ListPath]) -> Clicks | None:
    """Where the clicks stand; None where the elements have a label of their own."""
    given = settings.clicked
    if given is None:
        return None
    if given.suffix is not None:
        return Suffix(given.suffix, first)
    if given.at is not None:
        return At(find(given.at, "clicked.at", alone=True), first, given.first)
    assert given.ids is not None
    return Ids(find(given.ids, "clicked.ids", alone=True), first)


def _without(sql: str, kind: "DuckDBPyType", drop: Iterable[tuple[str, ...]]) -> str:
    """A struct without some of its fields, by their paths; null where it is null."""
    drop = [path for path in drop if path]
    if not drop:
        return sql
    fields = []
    for name, inner in fields_of(kind).items():
        below = [path[1:] for path in drop if path[0] == name]
        if () in below:
            continue
        value = _without(f"struct_extract({sql}, {literal(name)})", inner, below)
        fields.append(f"{identifier(name)} := {value}")
    packed = f"struct_pack({', '.join(fields)})" if fields else "NULL::VARCHAR"
    return f"CASE WHEN {sql} IS NOT NULL THEN {packed} END"
