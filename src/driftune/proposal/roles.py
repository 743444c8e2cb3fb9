"""What the columns of a log may mean: a guess for each role, how sure it is, and why."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from driftune.config.explode import CLICKED, LIST_ID, MADE, PLACE, Explode
from driftune.lake.duck import Connection, identifier
from driftune.proposal.columns import VALUES, Column
from driftune.proposal.times import TimeWriting, time_value

# What params.yaml gives for a role.
Value: TypeAlias = str | list[str] | dict[str, str] | None
Sure = Literal["sure", "likely", "question"]

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")
# Words of names by role, in the field's English; what comes first in a list counts for no more.
_NAMES: dict[str, frozenset[str]] = {
    role: frozenset(words.split())
    for role, words in {
        "user": "user uid userid customer member visitor cookie account client reader viewer buyer "
        "person device session",
        "item": "item iid itemid product article news video ad doc document movie hotel song track "
        "sku creative banner dish recipe offer listing restaurant photo impression impressions "
        "shown content post book",
        "time": "time timestamp ts date datetime hour created event at when",
        "domain": "domain region city country scene tab platform market channel site area zone "
        "store portal surface page place segment state",
        "click": "click clicked clicks clk label target isclick response",
        "convert": "conversion convert converted conv order ordered orders purchase purchased buy "
        "bought booking booked pay paid cart sale install follow like",
        "category": "category categories cat genre genres topic kind brand section class cuisine "
        "campaign subcategory vertical",
        "price": "price cost amount fare prices bid",
        "request": "request requestid list listid impressionid query search session slate page",
        "position": "position pos rank place slot index",
        "propensity": "propensity probability pscore prob",
    }.items()
}
# They name a user where nothing else does.
_WEAK = frozenset(["device", "session"])
_RATINGS = frozenset(["rating", "ratings", "stars", "score", "grade"])
MIN_DOMAIN_ROWS = 2_000


@dataclass(frozen=True)
class Guess:
    """What may give a role: ``value`` for params.yaml, ``others`` that it may be as well."""

    role: str
    value: Value
    sure: Sure
    why: str
    others: tuple[str, ...] = ()


@dataclass
class _Log:
    """The sampled log, how its columns write ``times``, the columns of what was ``shown`` in its
    lists, if it has any, and those that have a meaning already (``taken``)."""

    con: Connection
    columns: Sequence[Column]
    days: float
    times: Mapping[str, TimeWriting | None]
    shown: Collection[str] = ()
    taken: set[str] = field(default_factory=set)

    def left(self) -> list[Column]:
        """The columns without a meaning that hold anything."""
        return [c for c in self.columns if c.name not in self.taken and c.filled]

    def one(self, query: str) -> float:
        """The number that a query over ``sample`` gives; 0 for null."""
        ((value,),) = self.con.execute(query).fetchall()
        return float(value or 0)


def guess_roles(
    con: Connection,
    columns: Sequence[Column],
    days: float,
    times: Mapping[str, TimeWriting | None],
    explode: Explode | None = None,
) -> list[Guess]:
    """Guess each role of ``sample``, which is of so many days.

    ``times``: how columns write times; ``explode``: what made the rows of lists, one of whose
    columns is the item.
    """
    made = _made(explode)
    log = _Log(con, columns, days, times, explode.columns if explode else ())
    log.taken |= {name for name in MADE if explode is not None and name in explode.made}
    found: list[Guess] = []
    steps: dict[str, Callable[[_Log], Guess]] = {
        "time": _time,
        "click": _click,
        "user": _user,
        "item": _item,
        "convert": _convert,
        "price": _price,
        "position": _position,
        "propensity": _propensity,
        "request": _request,
    }
    for role, step in steps.items():
        guess = made[role] if role in made else step(log)
        found.append(guess)
        log.taken |= {column.name for column in columns if names(guess.value, column)}
    given = next(guess.value for guess in found if guess.role == "item")
    item = next((column.name for column in columns if given == column.role), None)
    found.append(_domain(log, item))
    # What is the domain may be the category of an item, too.
    found.append(_category(log, item))
    return found


def _made(explode: Explode | None) -> dict[str, Guess]:
    """The roles that ``source.explode`` has made columns for."""
    if explode is None:
        return {}
    known = {"request": LIST_ID, "position": PLACE}
    if explode.clicked is not None:
        known["click"] = CLICKED
    return {
        role: Guess(role, name, "sure", "made by source.explode") for role, name in known.items()
    }


def names(value: Value, column: Column) -> bool:
    """Whether what gives a role is a column, or its time."""
    if isinstance(value, dict) and isinstance(column.role, dict):
        return value.get("sql") == column.role["sql"]
    time = isinstance(value, dict) and value.get("column") == column.name
    return value == column.role or time


def fits(role: str, name: str) -> bool:
    """Whether a column's name has a word of a role, or its plural."""
    words = [word.lower() for word in _WORDS.findall(name)]
    singular = [word.removesuffix("s") for word in words]
    return bool({*words, *singular, "".join(words)} & _NAMES[role])


def _time(log: _Log) -> Guess:
    found = []
    for column in log.left():
        if (writing := log.times.get(column.name)) is not None:
            score = fits("time", column.name) + column.is_time + 2 * (writing.share == 1)
            # Hours tell more than days, and seconds more than hours.
            found.append((score, column.distinct, column, writing))
    if not found:
        return Guess("time", None, "question", "no column reads as a time")
    found.sort(key=lambda each: (-each[0], -each[1]))
    _, _, column, writing = found[0]
    value = time_value(column, writing)
    how = column.kind.lower()
    if writing.unit:
        how = f"numbers of {writing.unit} since 1970"
    if writing.format:
        how = f"text such as {column.examples[0]}"
    sure: Sure = "sure" if len(found) == 1 or found[0][0] > found[1][0] else "likely"
    others = tuple(each[2].name for each in found[1:])
    return Guess("time", value, sure, f"{how}; {writing.share:.0%} of the values read so", others)


def _click(log: _Log) -> Guess:
    binary = [column for column in log.left() if column.is_binary and column.distinct == 2]
    named = [column for column in binary if fits("click", column.name)]
    for column in named or binary[:1]:
        rate = log.one(f"SELECT avg({_truth(column)}) FROM sample")
        sure: Sure = "sure" if len(named) == 1 else "likely" if named else "question"
        others = tuple(each.name for each in binary if each is not column)
        return Guess("click", column.role, sure, f"0 or 1; {rate:.2%} are 1", others)
    for column in log.left():
        words = {word.lower() for word in _WORDS.findall(column.name)}
        if words & _RATINGS and column.is_number and column.high is not None:
            least = column.high - (1 if column.high > 1 else 0)
            sql = f"{identifier(column.name)} >= {least:g}"
            number = f"TRY_CAST({identifier(column.name)} AS DOUBLE)"
            rate = log.one(f"SELECT avg(({number} >= {least})::INT) FROM sample")
            span = f"ratings from {column.low:g} to {column.high:g}"
            why = f"{span}: {least:g} and more counts as a click ({rate:.0%})"
            log.taken.add(column.name)
            return Guess("click", {"sql": sql}, "likely", why)
    return Guess("click", None, "question", "no column of 0 and 1: the log may hold clicks alone")


def _user(log: _Log) -> Guess:
    return _id(log, "user", 20)


def _item(log: _Log) -> Guess:
    return _id(log, "item", 10)


def _id(log: _Log, role: str, least: int) -> Guess:
    """An id: by its name, and by as many values as users or items have."""
    found = []
    for column in log.left():
        fraction = column.is_number and column.whole < 1
        if column.is_nested or column.is_time or fraction or column.distinct < least:
            continue
        if role == "item" and log.shown and column.name not in log.shown:
            continue
        words = [word.lower() for word in _WORDS.findall(column.name)]
        if not fits(role, column.name) and column.distinct > 0.9 * column.filled:
            # Each row has its own: that names the row.
            continue
        weak = bool(_WEAK & set(words))
        score = 2 * fits(role, column.name) - weak + (words[-1:] == ["id"] or words[0] == "id")
        # An item's id is no user, whatever else the log has.
        score -= 2 * (role == "user" and fits("item", column.name))
        found.append((score, column.distinct, column))
    found.sort(key=lambda each: (-each[0], -each[1]))
    if not found:
        return Guess(role, None, "question", f"no column has as many values as {role}s have")
    score, _, column = found[0]
    ahead = len(found) == 1 or score > found[1][0]
    sure: Sure = "sure" if score >= 2 and ahead else "likely" if score >= 2 else "question"
    why = f"{column.distinct:,} different values, such as {column.examples[0]}"
    others = tuple(each[2].name for each in found[1:6])
    return Guess(role, column.role, sure, why, others)


def _convert(log: _Log) -> Guess:
    click = next((c for c in log.columns if c.name in log.taken and c.is_binary), None)
    for column in log.left():
        if not (column.is_binary and fits("convert", column.name)):
            continue
        rate = log.one(f"SELECT avg({_truth(column)}) FROM sample")
        if click is None:
            return Guess("convert", column.role, "likely", f"0 or 1; {rate:.2%} are 1")
        without = log.one(
            f"SELECT count(*) FILTER ({_truth(column)} = 1 AND {_truth(click)} = 0) "
            f"/ greatest(1, count(*) FILTER ({_truth(column)} = 1)) FROM sample"
        )
        if without <= 0.01:
            return Guess("convert", column.role, "sure", f"0 or 1; {rate:.2%} are 1, all of clicks")
        why = f"{column.name} counts where there is a click ({without:.0%} of its 1 have none)"
        sql = f"{identifier(column.name)} * {identifier(click.name)}"
        log.taken.add(column.name)
        return Guess("convert", {"sql": sql}, "likely", why)
    return Guess("convert", None, "sure", "no column says what was bought")


def _price(log: _Log) -> Guess:
    return _number(log, "price", lambda column: (column.low or 0) >= 0 and column.distinct > 5)


def _position(log: _Log) -> Guess:
    return _number(log, "position", lambda column: column.whole == 1 and column.distinct <= 500)


def _propensity(log: _Log) -> Guess:
    def share(column: Column) -> bool:
        return (column.low or 0) >= 0 and (column.high or 2) <= 1 and column.whole < 1

    return _number(log, "propensity", share)


def _number(log: _Log, role: str, allowed: Callable[[Column], bool]) -> Guess:
    for column in log.left():
        if column.is_number and fits(role, column.name) and allowed(column):
            why = f"numbers from {column.low:g} to {column.high:g}"
            return Guess(role, column.role, "likely", why)
    return Guess(role, None, "sure", "no column is one")


def _request(log: _Log) -> Guess:
    for column in log.left():
        few = 1 < column.filled / max(1, column.distinct) < 200
        if fits("request", column.name) and not column.is_nested and few:
            each = column.filled / column.distinct
            return Guess("request", column.role, "likely", f"{each:.1f} rows each")
    return Guess("request", None, "sure", "no column is one")


def _domain(log: _Log, item: str | None) -> Guess:
    found = []
    for column in log.left():
        if column.is_nested or column.is_time or not 2 <= column.distinct <= VALUES:
            continue
        if column.is_number and column.whole < 1:
            continue
        each = column.filled / column.distinct / max(1.0, log.days)
        score = (
            3 * fits("domain", column.name) + (each >= MIN_DOMAIN_ROWS) - (column.largest > 0.95)
        )
        # What belongs to an item is its category; a domain is where it is shown.
        score -= item is not None and _belongs(log, column, item) > 0.9
        found.append((score, column.distinct, column, each))
    found.sort(key=lambda each: (-each[0], each[1]))
    if not found:
        why = "no column has a few values: all rows are one domain"
        return Guess("domain", {"sql": "'all'"}, "question", why)
    score, _, column, each = found[0]
    sure: Sure = "likely" if score >= 3 else "question"
    shown = ", ".join(column.examples[:4])
    why = f"{column.distinct:,} values ({shown}), {each:,.0f} sampled rows a day each"
    return Guess("domain", column.role, sure, why, tuple(c.name for _, _, c, _ in found[1:6]))


def _category(log: _Log, item: str | None) -> Guess:
    found = []
    for column in log.columns:
        if column.name in log.taken or column.is_nested or column.is_time or column.distinct < 2:
            continue
        if column.distinct > 5_000 or (column.is_number and column.whole < 1):
            continue
        belongs = _belongs(log, column, item) if item else 0.0
        # What an item has several of says where it was shown, whatever its name.
        named = fits("category", column.name) and (item is None or belongs > 0.5)
        if named or belongs > 0.9:
            found.append((2 * named + (belongs > 0.9), -column.distinct, column, belongs))
    found.sort(key=lambda each: (-each[0], -each[1]))
    if not found:
        why = "no column groups the items: pre-training forms groups"
        return Guess("category", None, "sure", why)
    score, _, column, belongs = found[0]
    why = f"{column.distinct:,} values; {belongs:.0%} of the items have one"
    others = tuple(c.name for _, _, c, _ in found[1:6])
    return Guess("category", column.role, "likely" if score >= 2 else "question", why, others)


def _belongs(log: _Log, column: Column, item: str) -> float:
    """The share of items (of several rows) that have one value of a column."""
    return log.one(
        f"SELECT avg((n = 1)::INT) FROM (SELECT count(DISTINCT {identifier(column.name)}) AS n "
        f"FROM sample GROUP BY {identifier(item)} HAVING count(*) > 1)"
    )


def _truth(column: Column) -> str:
    """SQL of a column of 0 and 1 or truths, as a number."""
    return f"TRY_CAST(TRY_CAST({identifier(column.name)}::VARCHAR AS BOOLEAN) AS INTEGER)"
