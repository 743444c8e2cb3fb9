"""The corpus: values in every format and place, and what must come out of them."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.corpus.written import ROWS, WRITERS, Case, csv_text, json_text, rows, table

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


def domain_cases(day: date) -> Iterator[Case]:
    """Domains of two columns whose values hold what stands between them."""
    pairs = {
        ("a · b", "c"): r"a \· b · c", ("a", "b · c"): r"a · b \· c", ("a ·", "c"): r"a \· · c",
        ("a", "· c"): r"a · \· c", ("·", "·"): r"\· · \·", (r"a \·", "c"): r"a \\· · c",
        ("a·b", "c"): "a·b · c", ("a · · b", "c"): r"a \· \· b · c", ("a\\", "c"): "a\\ · c",
    }  # fmt: skip
    for ending in ("csv", "parquet"):
        scenes, regions = (list(values) for values in zip(*pairs, strict=True))
        lines = rows(day, number=len(pairs), scene=scenes, region=regions)
        yield Case(
            f"dots in the parts of a domain in {ending}",
            f"{{day}}.{ending}",
            WRITERS[ending](lines),
            "domain",
            list(pairs.values()),
        )


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
        "float-whole": (pa.array([float(n) for n in count]), [str(n) for n in count]),
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
    start = int(datetime(2026, 3, 2, 8, tzinfo=UTC).timestamp()) * 10**9
    for name, step, naive, zoned in (
        (
            "nanoseconds",
            123_456_789,
            [f"2026-03-02 08:00:0{n}.123456789" for n in range(5)],
            [f"2026-03-02 08:00:0{n}.123456789+00" for n in range(5)],
        ),
        (
            "microseconds",
            123_456_000,
            [datetime(2026, 3, 2, 8, 0, n, 123_456) for n in range(5)],
            [datetime(2026, 3, 2, 8, 0, n, 123_456, UTC) for n in range(5)],
        ),
    ):
        times = [start + step + n * 10**9 for n in range(5)]
        for zone, values in ((None, naive), ("UTC", zoned)):
            yield Case(
                f"{name} in a kept column of zone {zone}",
                "{day}.parquet",
                table(rows(day, number=5), weight=pa.array(times, pa.timestamp("ns", zone))),
                "d_weight",
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
