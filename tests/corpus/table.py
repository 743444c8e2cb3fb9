"""The corpus: delivered files, each with an oddity in one place, and what must come out of it."""

import gzip
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

ROWS = 12
# Where an oddity may stand: the delivered column of each place, and the staged one.
PLACES = {
    "user": ("user_id", "user_id"),
    "item": ("item_id", "item_id"),
    "category": ("category", "category"),
    "domain": ("region", "domain"),
    "kept": ("weight", "d_weight"),
}
# Texts that some reader takes for something else.
TEXTS = {
    "uuid-upper": "E6D59165-E2C9-5B48-A720-6EC74EB2A798",
    "uuid-mixed-case": "e6d59165-E2C9-5b48-a720-6EC74EB2A798",
    "date-of-year": "2025-11-01",
    "date-of-day": "01-11-2025",
    "date-with-slashes": "11/01/2025",
    "time": "14:30",
    "timestamp": "2026-03-02T10:00:00Z",
    "interval": "3 days",
    "leading-zeros": "0007",
    "plus": "+5",
    "beyond-64-bits": "18446744073709551617",
    "beyond-128-bits": "9" * 45,
    "exponent": "1e5",
    "trailing-zero": "1.10",
    "hexadecimal": "0x1F",
    "underscores": "1_000",
    "decimal-comma": "1,5",
    "infinity": "inf",
    "nan": "NaN",
    "null-word": "NULL",
    "none-word": "None",
    "truth": "TRUE",
    "blanks-around": " u1 ",
    "inner-tab": "a\tb",
    "comma": "a,b",
    "semicolon": "a;b",
    "pipe": "a|b",
    "quote": 'a "b" c',
    "one-quote": '5" pizza',
    "apostrophe": "it's",
    "backslash": "a\\b\\",
    "line-end": "a\nb",
    "blank-line": "a\n\nb",
    "carriage-return": "a\r\nb",
    "hash": "# no comment",
    "accents": "München",
    "decomposed": "Mu\u0308nchen",
    "emoji": "🍜🥢",
    "right-to-left": "مرحبا",
    "no-break-space": "a\u00a0b",
    "zero-width": "a\u200bb",
    "byte-order-mark": "\ufeffa",
    "json-object": '{"a": 1}',
    "json-list": "[1, 2]",
    "long": "x" * 20_000,
}


# Of these some readers guess the type of a column that holds nothing else.
ALONE = (
    *("uuid-upper", "date-of-year", "date-of-day", "time", "timestamp", "leading-zeros"),
    *("beyond-64-bits", "exponent", "trailing-zero", "nan", "truth", "json-object"),
)


@dataclass(frozen=True)
class Case:
    """A file and its ``values`` in ``column`` of the staged day, in order; or, in their place, the
    words of the line that must be said. ``quarantined``: reasons of rows that are none."""

    name: str
    file: str
    content: bytes | pa.Table
    column: str = "user_id"
    values: list[Any] | None = None
    says: str = ""
    quarantined: dict[str, int] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def rows(day: date, number: int = ROWS, **changed: list[Any]) -> list[dict[str, Any]]:
    """Plain rows of a day, with some columns changed or added."""
    plain = [
        {
            "user_id": f"u{row % 5}",
            "item_id": f"i{row % 7}",
            "event_time": f"{day} {(8 + row) % 24:02d}:00:00",
            "scene": "home",
            "region": ("north", "south")[row % 2],
            "category": "sushi",
            "price": "9.5",
            "click": str(row % 2),
            "ordered": "0",
        }
        for row in range(number)
    ]
    return [row | {key: of[n] for key, of in changed.items()} for n, row in enumerate(plain)]


def csv_text(lines: list[dict[str, Any]], delimiter: str = ",", end: str = "\n") -> str:
    """CSV that quotes where RFC 4180 asks for it; None is an empty value."""

    def value(text: Any) -> str:
        if text is None:
            return ""
        special = any(sign in text for sign in (delimiter, '"', "\n", "\r")) or text == ""
        return '"' + text.replace('"', '""') + '"' if special else text

    listed = [list(lines[0]), *(list(line.values()) for line in lines)]
    return "".join(delimiter.join(map(value, line)) + end for line in listed)


def json_text(lines: list[dict[str, Any]]) -> str:
    """JSON lines."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def zstd(data: bytes) -> bytes:
    """Packed bytes."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def table(lines: list[dict[str, Any]], **columns: pa.Array) -> pa.Table:
    """Rows as an Arrow table, with typed columns in the place of some."""
    plain = {name: pa.array([line[name] for line in lines]) for name in lines[0]}
    return pa.table(plain | columns)


WRITERS: dict[str, Callable[[list[dict[str, Any]]], bytes | pa.Table]] = {
    "csv": lambda lines: csv_text(lines).encode(),
    "tsv": lambda lines: csv_text(lines, "\t").encode(),
    "semicolon.csv": lambda lines: csv_text(lines, ";", "\r\n").encode(),
    "csv.gz": lambda lines: gzip.compress(csv_text(lines, "|").encode(), mtime=0),
    "csv.zst": lambda lines: zstd(csv_text(lines).encode()),
    "jsonl": lambda lines: json_text(lines).encode(),
    "json.gz": lambda lines: gzip.compress(json_text(lines).encode(), mtime=0),
    "parquet": table,
}


def text_cases(day: date) -> Iterator[Case]:
    """All odd texts in every place and format, and columns that hold one kind alone."""
    texts = list(TEXTS.values())
    for place, (delivered, staged) in PLACES.items():
        expected = [f"home · {text.strip(' ')}" for text in texts] if place == "domain" else texts
        for ending, write in WRITERS.items():
            lines = rows(day, number=len(texts), **{delivered: texts})
            yield Case(
                f"texts as {place} in {ending}", f"{{day}}.{ending}", write(lines), staged, expected
            )
    for number, name in enumerate(ALONE):
        for ending in ("csv", "jsonl"):
            delivered, staged = list(PLACES.values())[(number + len(ending)) % 3]
            values = [TEXTS[name]] * ROWS
            content = WRITERS[ending](rows(day, **{delivered: values}))
            named = f"{name} alone as {delivered} in {ending}"
            yield Case(named, f"{{day}}.{ending}", content, staged, values)


def number_cases(day: date) -> Iterator[Case]:
    """Scalars of JSON that are no strings."""
    written = {
        "5": "5", "-5": "-5", "5.0": "5.0", "1e5": "1e5", "1.10": "1.10", "-0.5E-7": "-0.5E-7",
        "18446744073709551617": "18446744073709551617",
        "123456789012345678901234567890": "123456789012345678901234567890",
        "0.1234567890123456789": "0.1234567890123456789", "true": "true",
        "9007199254740993": "9007199254740993", "-9223372036854775808": "-9223372036854775808",
        "18446744073709551615": "18446744073709551615", "1E400": "1E400",
    }  # fmt: skip
    for number, (text, value) in enumerate(written.items()):
        place = ("user", "item", "category")[number % 3]
        delivered, staged = PLACES[place]
        content = json_text(rows(day, **{delivered: ["@"] * ROWS})).replace('"@"', text)
        yield Case(
            f"the number {text} as {place}", "{day}.jsonl", content.encode(), staged, [value] * ROWS
        )
    mixed = ["g-7" if n % 2 else n for n in range(ROWS)]
    yield Case(
        "numbers and strings as user",
        "{day}.jsonl",
        json_text(rows(day, user_id=mixed)).encode(),
        values=[str(value) for value in mixed],
    )
    for text, value in {'{"b": 2, "a": [1]}': '{"b":2,"a":[1]}', "[]": "[]", "1.5": "1.5"}.items():
        content = json_text(rows(day, weight=["@"] * ROWS)).replace('"@"', text)
        yield Case(f"{text} as kept", "{day}.jsonl", content.encode(), "d_weight", [value] * ROWS)


def null_cases(day: date) -> Iterator[Case]:
    """No value, and the empty text."""
    given = [None if n % 3 == 0 else "" if n % 3 == 1 else "x" for n in range(ROWS)]
    for ending, write in WRITERS.items():
        yield Case(
            f"null and empty as kept in {ending}",
            f"{{day}}.{ending}",
            write(rows(day, weight=given)),
            "d_weight",
            given,
        )
        yield Case(
            f"null and empty as user in {ending}",
            f"{{day}}.{ending}",
            write(rows(day, user_id=given)),
            values=["x"] * (ROWS // 3),
            quarantined={"user_missing": ROWS - ROWS // 3},
        )
    words = ["NA" if n % 2 else "x" for n in range(ROWS)]
    yield Case(
        "a word for null",
        "{day}.csv",
        csv_text(rows(day, weight=words)).encode(),
        "d_weight",
        [None if word == "NA" else word for word in words],
        source={"csv": {"null": ["", "NA"]}},
    )


def typed_cases(day: date) -> Iterator[Case]:
    """Typed columns of Parquet."""
    count = range(ROWS)
    uuids = [uuid.uuid5(uuid.NAMESPACE_OID, f"u{n}") for n in count]
    kinds: dict[str, tuple[pa.Array, list[Any]]] = {
        "int64": (pa.array([-(2**62) + n for n in count]), [str(-(2**62) + n) for n in count]),
        "uint64": (
            pa.array([2**64 - 1 - n for n in count], pa.uint64()),
            [str(2**64 - 1 - n) for n in count],
        ),
        "int8": (pa.array(list(count), pa.int8()), [str(n) for n in count]),
        "float-whole": (pa.array([float(n) for n in count]), [f"{n}.0" for n in count]),
        "float-fraction": (pa.array([n + 0.5 for n in count]), [f"{n}.5" for n in count]),
        "decimal-whole": (
            pa.array([Decimal(10**25 + n) for n in count], pa.decimal128(30, 0)),
            [str(10**25 + n) for n in count],
        ),
        "decimal": (
            pa.array([Decimal(n) / 4 for n in count], pa.decimal128(8, 2)),
            [f"{n / 4:.2f}" for n in count],
        ),
        "large-string": (pa.array([f"ü{n}" for n in count], pa.large_string()), [f"ü{n}" for n in count]),
        "dictionary": (pa.array([f"ü{n}" for n in count]).dictionary_encode(), [f"ü{n}" for n in count]),
        "bytes-of-text": (pa.array([f"ü{n}".encode() for n in count]), [f"ü{n}" for n in count]),
        "bytes": (pa.array([b"\xff\x00" + bytes([65 + n]) for n in count]), [rf"\xFF\x00{chr(65 + n)}" for n in count]),
        "uuid": (
            pa.array([one.bytes for one in uuids], pa.uuid()) if hasattr(pa, "uuid") else pa.array([str(u) for u in uuids]),
            [str(one) for one in uuids],
        ),
        "date": (pa.array([date(2026, 1, 1 + n) for n in count]), [f"2026-01-{1 + n:02d}" for n in count]),
        "truth": (pa.array([n % 2 == 0 for n in count]), ["true" if n % 2 == 0 else "false" for n in count]),
    }  # fmt: skip
    for name, (column, values) in kinds.items():
        for place in ("user", "category"):
            delivered, staged = PLACES[place]
            yield Case(
                f"{name} as {place} in parquet",
                "{day}.parquet",
                table(rows(day), **{delivered: column}),
                staged,
                values,
            )
    exact = pa.array([float(2**53 + 2 * n) for n in count])
    yield Case(
        "floats beyond what they tell apart",
        "{day}.parquet",
        table(rows(day), user_id=exact),
        said=("id_inexact",),
        values=[str(float(2**53 + 2 * n)) for n in count],
    )


def label_cases(day: date) -> Iterator[Case]:
    """Labels, prices and times in many writings."""
    labels = ["1", "0", "1.0", "0.0", "true", "FALSE", " 1 ", "yes", "2", "0.5", "", "NaN"]
    good = [1, 0, 1, 0, 1, 0, 1]
    for ending in ("csv", "jsonl", "parquet", "tsv", "csv.gz"):
        yield Case(
            f"labels in {ending}",
            f"{{day}}.{ending}",
            WRITERS[ending](rows(day, click=labels)),
            "click_value",
            good,
            quarantined={"click_label": 5},
        )
        prices = ["1.5", "1e1", "-2", " 3 ", "", "1,5", "€5", "NaN", "inf", "7", "0", "0007"]
        read = [1.5, 10.0, -2.0, 3.0, None, 7.0, 0.0, 7.0]
        yield Case(
            f"prices in {ending}",
            f"{{day}}.{ending}",
            WRITERS[ending](rows(day, price=prices)),
            "price",
            read,
            quarantined={"number_unreadable": 4},
        )
        times = [f"{day} {n:02d}:30:00" for n in range(9)]
        times += [f"{day}T09:30:00Z", f"{day} 11:30:00+01:00", "never"]
        yield Case(
            f"times in {ending}",
            f"{{day}}.{ending}",
            WRITERS[ending](rows(day, event_time=times)),
            "hour",
            [*range(10), 10],
            quarantined={"time_unreadable": 1},
        )
    instants = [datetime(day.year, day.month, day.day, n, tzinfo=UTC) for n in range(ROWS)]
    for unit in ("s", "ms", "us", "ns"):
        for zone in (None, "UTC", "Asia/Tokyo"):
            column = pa.array(instants, pa.timestamp("us", "UTC"))
            typed = column.cast(pa.timestamp(unit, "UTC"))
            naive = typed.cast(pa.int64()).cast(pa.timestamp(unit))
            yield Case(
                f"times of type {unit} {zone}",
                "{day}.parquet",
                table(rows(day), event_time=naive if zone is None else typed.cast(pa.timestamp(unit, zone))),
                "hour",
                list(range(ROWS)),
            )  # fmt: skip
    scale = {"s": 1, "ms": 1000, "us": 10**6}
    for unit, factor in scale.items():
        for ending in ("csv", "jsonl"):
            times = [str(int(instant.timestamp()) * factor) for instant in instants]
            yield Case(
                f"times in {unit} in {ending}",
                f"{{day}}.{ending}",
                WRITERS[ending](rows(day, event_time=times)),
                "hour",
                list(range(ROWS)),
                columns={"time": {"column": "event_time", "unit": unit}},
            )


def file_cases(day: date) -> Iterator[Case]:
    """Files that are damaged, odd, or of another dialect or encoding."""
    plain = rows(day, region=[("Nürnberg", "München")[n % 2] for n in range(ROWS)])
    users = [row["user_id"] for row in plain]
    text = csv_text(plain)
    lines = text.splitlines(keepends=True)
    many = csv_text([row for _ in range(5) for row in plain])
    packed = gzip.compress(text.encode(), mtime=0)

    def good(name: str, content: bytes, file: str = "{day}.csv", **more: Any) -> Case:
        return Case(name, file, content, **({"values": users} | more))

    def bad(name: str, content: bytes, says: str, file: str = "{day}.csv", **more: Any) -> Case:
        return Case(name, file, content, says=says, **more)

    yield good("CRLF", text.replace("\n", "\r\n").encode())
    yield good("CR alone", text.replace("\n", "\r").encode())
    yield good("mixed line ends", (lines[0].rstrip() + "\r\n" + "".join(lines[1:])).encode())
    yield good("no line end at the end", text.rstrip("\n").encode())
    yield good(
        "blank lines",
        "\n".join([*text.split("\n"), "", ""]).replace(lines[3], "\n" + lines[3]).encode(),
    )
    yield good("a byte order mark", b"\xef\xbb\xbf" + text.encode())
    yield good(
        "a byte order mark in JSON lines",
        b"\xef\xbb\xbf" + json_text(plain).encode(),
        "{day}.jsonl",
    )
    yield good(
        "blank lines in JSON lines", json_text(plain).replace("\n", "\n\n").encode(), "{day}.jsonl"
    )
    yield good("CRLF in JSON lines", json_text(plain).replace("\n", "\r\n").encode(), "{day}.jsonl")
    yield good(
        "a trailing comma", text.replace("\n", ",\n").replace("ordered,\n", "ordered\n", 1).encode()
    )
    yield good(
        "an index without a name",
        "".join(f"{n - 1 if n else ''},{line}" for n, line in enumerate(lines)).encode(),
    )
    yield good(
        "latin-1 by configuration", text.encode("latin-1"), source={"csv": {"encoding": "latin-1"}}
    )
    yield good(
        "utf-16 by configuration", text.encode("utf-16"), source={"csv": {"encoding": "utf-16"}}
    )
    yield good(
        "shift-jis by configuration",
        csv_text(rows(day, region=["東京"] * ROWS)).encode("shift_jis"),
        source={"csv": {"encoding": "shift_jis"}},
        column="domain",
        values=["home · 東京"] * ROWS,
    )
    yield good(
        "lines before the header",
        b'# made by "x\n\n' + text.encode(),
        source={"csv": {"header": 3}},
    )
    yield good(
        "names by configuration",
        "".join(lines[1:]).encode(),
        source={"csv": {"header": lines[0].strip().split(",")}},
    )
    yield good(
        "single quotes",
        text.replace("sushi", "'su,shi'").encode(),
        source={"csv": {"quote": "'"}},
        column="category",
        values=["su,shi"] * ROWS,
    )
    yield good(
        "no quotes",
        text.replace("sushi", 'su"shi').encode(),
        source={"csv": {"quote": ""}},
        column="category",
        values=['su"shi'] * ROWS,
    )
    yield good(
        "backslashes before quotes",
        text.replace("sushi", r'"su\"shi"').encode(),
        source={"csv": {"escape": "\\"}},
        column="category",
        values=['su"shi'] * ROWS,
    )
    yield good(
        "a colon between values",
        csv_text(rows(day, event_time=[f"{day} 08" for _ in range(ROWS)]), ":").encode(),
        source={"csv": {"delimiter": ":"}},
        quarantined={"time_unreadable": ROWS},
        values=[],
    )
    yield good(
        "gzip of two members",
        gzip.compress("".join(lines[:5]).encode()) + gzip.compress("".join(lines[5:]).encode()),
        "{day}.csv.gz",
    )
    yield good("gzip with zeros behind", packed + bytes(512), "{day}.csv.gz")
    yield bad("gzip that is cut", packed[:-20], "is damaged or breaks off", "{day}.csv.gz")
    yield bad(
        "gzip with a wrong checksum",
        packed[:-8] + b"\0\0\0\0" + packed[-4:],
        "is damaged or breaks off .CRC",
        "{day}.csv.gz",
    )
    yield bad(
        "zstd that is cut", zstd(text.encode())[:-3], "is damaged or breaks off", "{day}.csv.zst"
    )
    yield bad("text that is called gzip", text.encode(), "is damaged or breaks off", "{day}.csv.gz")
    yield bad(
        "latin-1 that is not said",
        text.encode("latin-1"),
        r"line 2 is not UTF-8 .*cp1252.*source\.csv\.encoding",
    )
    yield bad(
        "utf-16 that is not said",
        text.encode("utf-16"),
        r"is not UTF-8; it looks like utf-16.*source\.csv\.encoding",
    )
    yield bad("utf-16 without a mark", text.encode("utf-16-le"), "it looks like utf-16-le")
    yield bad(
        "latin-1 in JSON lines",
        json_text(plain).encode("latin-1"),
        r"line 1 is not UTF-8; the file looks like [\w-]+: deliver it as UTF-8$",
        "{day}.jsonl",
    )
    yield bad(
        "a second header of another width",
        (many + csv_text([row | {"app": "x"} for row in plain for _ in range(3)])).encode(),
        "the first is line 62, which has 10 values under 9 names",
    )
    yield bad(
        "a second part of another delimiter",
        (many + csv_text(plain * 3, ";")).encode(),
        "the first is line 62, which has 1 values under 9 names",
    )
    yield bad(
        "a quote that is never closed",
        text.replace("sushi", '"sushi', 1).encode(),
        "has a quote that is not closed",
    )
    yield bad(
        "a quote that is never closed before CRLF",
        text.replace("sushi", '"sushi', 1).replace("\n", "\r\n").encode(),
        "the first is line 2, which has a quote that is not closed.*: 'u0,i0,",
    )
    yield bad(
        "a CR within a line",
        text.replace("sushi", "su\rshi", 1).encode(),
        "or a CR within a line, hides where its lines end",
    )
    yield bad("cut in the last line", text.encode()[:-25], "breaks off in its last line, 13")
    yield bad(
        "JSON lines that are cut",
        json_text(plain).encode()[:-25],
        "breaks off in its last line, 12",
        "{day}.jsonl",
    )
    yield bad(
        "a list in a JSON file",
        json.dumps(plain).encode(),
        "is no object|cannot be read as jsonl",
        "{day}.json",
    )
    yield bad(
        "two columns of one name",
        text.replace("category", "price", 1).encode(),
        "has the columns 'price' twice",
    )
    yield bad(
        "two spellings",
        text.replace("category", "Price", 1).encode(),
        "has the columns 'Price' and 'price'",
    )
    yield bad(
        "another spelling than the role's",
        text.replace("category", "Category", 1).encode(),
        r"'Category', which columns\.category in params\.yaml calls 'category'",
    )
    yield bad("only a header", lines[0].encode(), "holds no rows")
    yield bad("no header", b"\n\n\n", "it has no header")
    broken = [*lines[:4], "only,three,values\n", *lines[4:], "(12 rows)\n"]
    yield good(
        "lines that are no rows",
        "".join(broken).encode(),
        quarantined={"row_unreadable": 2},
        said=("row_unreadable",),
    )
    objects = json_text(plain).splitlines(keepends=True)
    yield good(
        "a JSON line that is none",
        "".join([*objects[:4], '{"user_id": \n', *objects[4:]]).encode(),
        "{day}.jsonl",
        quarantined={"row_unreadable": 1},
        said=("row_unreadable",),
    )
    yield good(
        "a JSON line that is a list",
        "".join([*objects[:4], "[1]\n", *objects[4:]]).encode(),
        "{day}.jsonl",
        quarantined={"row_unreadable": 1},
    )
    yield good(
        "a key twice in a JSON line",
        "".join([*objects[:4], '{"user_id": "a", "user_id": "b"}\n', *objects[4:]]).encode(),
        "{day}.jsonl",
        quarantined={"row_unreadable": 1},
    )
    yield good(
        "ids that differ only in case",
        csv_text(rows(day, user_id=["Ann", "ann"] * 6)).encode(),
        values=["Ann", "ann"] * 6,
        said=("id_case",),
    )
    yield good(
        "a path that names a column of the file", text.encode(), "user_id=ann/click=1/{day}.csv"
    )
    yield good(
        "a column of the path",
        csv_text([{k: v for k, v in row.items() if k != "region"} for row in plain]).encode(),
        "region=S%C3%BCd/{day}.csv",
        source={"partitions": ["region"]},
        column="domain",
        values=["home · Süd"] * ROWS,
    )
    yield bad(
        "a column of the path that is not asked for",
        csv_text([{k: v for k, v in row.items() if k != "region"} for row in plain]).encode(),
        r"set source\.partitions: \[region\]",
        "region=S/{day}.csv",
    )
    yield bad(
        "a path without the column that is asked for",
        text.encode(),
        r"its path has no part 'city=…'",
        source={"partitions": ["city"]},
    )


def cases(day: date) -> list[Case]:
    """All of them."""
    made = (text_cases, number_cases, null_cases, typed_cases, label_cases, file_cases)
    return [case for make in made for case in make(day)]
