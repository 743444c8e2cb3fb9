"""The corpus: files that are damaged, odd, or of another dialect or encoding."""

import gzip
import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from tests.corpus.written import ROWS, Case, csv_text, json_text, rows, zstd


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
        r"line 1 is not UTF-8 \(12 of 12 lines are not\); the file looks like [\w-]+: deliver it as UTF-8$",
        "{day}.jsonl",
    )
    yield bad(
        "a second header of another width",
        (many + csv_text([row | {"app": "x"} for row in plain for _ in range(3)])).encode(),
        "the first is line 62, which has 10 values, the header 9 names",
    )
    yield bad(
        "a second part of another delimiter",
        (many + csv_text(plain * 3, ";")).encode(),
        "the first is line 62, which has 1 value, the header 9 names",
    )
    yield bad(
        "a quote that is never closed before CRLF",
        text.replace("sushi", '"sushi', 1).replace("\n", "\r\n").encode(),
        "the first is line 2, which has a quote that is not closed.*: 'u0,i0,",
    )
    held = text.replace("Nürnberg", '"Nürn\nberg"').replace("home", '"ho,""me"')
    for name, content in (
        ("LF", text),
        ("CRLF", text.replace("\n", "\r\n")),
        ("CRLF and line ends in values", held.replace("\n", "\r\n")),
        ("line ends in values", held),
    ):
        yield bad(
            f"CRs within lines of {name}",
            content.replace("sushi", "su\rshi", 4).encode(),
            "lines are no rows; the first is line 2, which has a CR within it",
        )
        lost = 2 if "values" in name else 1
        yield good(
            f"a CR within a line of {name}",
            content.replace("sushi", "su\rshi", 1).encode(),
            values=users[1:],
            quarantined={"row_unreadable": lost},
            said=("row_unreadable",),
        )
    yield bad(
        "a CR within a last line that is cut",
        (text + "u1,i\r1,x").encode(),
        "breaks off in its last line, 14, which has a CR within it",
    )
    yield good(
        "a CR within a line between lines of another width",
        "".join([*lines[:2], "x\n", lines[2].replace("i", "i\r", 1), "y\n", *lines[3:]]).encode(),
        values=[users[0], *users[2:]],
        quarantined={"row_unreadable": 3},
    )
    yield good(
        "a quote that is never closed before CRLF among values of several lines",
        held.replace("sushi", '"sushi', 2).replace('"sushi', "sushi", 1)
        .replace("\n", "\r\n").encode(),
        values=[users[0], *users[2:]],
        quarantined={"row_unreadable": 1},
    )  # fmt: skip
    yield bad(
        "a quote that is never closed",
        text.replace("sushi", '"sushi', 1).encode(),
        "has a quote that is not closed",
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
    yield bad(
        "a key twice in every JSON line",
        "".join(objects).replace('"click"', '"price"').encode(),
        "12 of 12 lines are no rows; the first is line 1, which has a key twice",
        "{day}.jsonl",
    )
    yield good(
        "lines of blanks in JSON lines",
        "".join([*objects[:4], "  \n", "\n\t\n\r\n\f\n", *objects[4:], "  "]).encode(),
        "{day}.jsonl",
    )
    yield good(
        "blank lines beside a JSON line that is none",
        "".join([*objects[:4], "{\n", "\n \n\v\n", *objects[4:], "\n"]).encode(),
        "{day}.jsonl",
        quarantined={"row_unreadable": 1},
    )
    yield good(
        "two objects in a JSON line",
        "".join([*objects[:3], objects[3].strip(), *objects[4:]]).encode(),
        "{day}.jsonl",
        values=[*users[:3], *users[5:]],
        quarantined={"row_unreadable": 1},
    )
    yield good(
        "an object over two JSON lines",
        "".join([*objects[:3], objects[3].replace(", ", ",\n", 1), *objects[4:]]).encode(),
        "{day}.jsonl",
        values=[*users[:3], *users[4:]],
        quarantined={"row_unreadable": 2},
    )
    yield good(
        "a JSON line without a key",
        "".join([*objects[:4], "{}\n", *objects[4:]]).encode(),
        "{day}.jsonl",
        quarantined={
            "user_missing, item_missing, time_unreadable, domain_missing, "
            "click_label, convert_label": 1
        },
    )
    yield bad(
        "no JSON line with a key",
        b"{}\n{}\n",
        r"no line of it has a key; column 'event_time' \(columns\.time\.column",
        "{day}.jsonl",
    )
    yield bad(
        "no JSON line with a key that a role needs",
        "".join(objects).replace('"user_id"', '"user"').encode(),
        r"column 'user_id' \(columns\.user in params\.yaml\) is missing",
        "{day}.jsonl",
    )
    umlaut = "".join([*objects[:3], objects[3].replace("north", "nörth"), *objects[4:]])
    yield good(
        "a JSON line that is not UTF-8",
        b"".join(
            line.encode("latin-1" if number == 3 else "utf-8")
            for number, line in enumerate(umlaut.splitlines(keepends=True))
        ).replace(b"\n", b"\r\n", 2),
        "{day}.jsonl",
        values=[*users[:3], *users[4:]],
        quarantined={"row_unreadable": 1},
    )
    yield good(
        "a null in the place of a JSON line",
        "".join([*objects[:4], "null\n", *objects[4:]]).encode(),
        "{day}.jsonl",
        quarantined={"row_unreadable": 1},
    )
    yield good(
        "an id behind a nested one of its name",
        re.sub(
            '{"user_id": "u(.)"', r'{"item": {"user_id": 7.0}, "user_id": 1.1\1', "".join(objects)
        ).encode(),
        "{day}.jsonl",
        values=[f"1.1{user[1:]}" for user in users],
    )
    yield bad(
        "a key without a name",
        objects[0].replace("category", "").encode(),
        "has a key without a name",
        "{day}.jsonl",
    )
    for ending in ("jsonl", "csv"):
        name = f"an empty packed file of {ending}"
        yield bad(name, gzip.compress(b""), "holds no rows", f"{{day}}.{ending}.gz")
    yield good(
        "names by configuration, between semicolons",
        "".join(csv_text(plain, ";").splitlines(keepends=True)[1:]).encode(),
        source={"csv": {"header": lines[0].strip().split(",")}},
    )
    yield good(
        "a byte order mark goes before the configured encoding",
        b"\xef\xbb\xbf" + text.encode(),
        source={"csv": {"encoding": "latin-1"}},
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
    without = csv_text([{k: v for k, v in row.items() if k != "region"} for row in plain]).encode()
    yield good(
        "a role's column that the path alone has",
        without,
        "region=S/{day}.csv",
        column="domain",
        values=["home · S"] * ROWS,
    )
    yield bad(
        "a role's column of a path that is not asked",
        without,
        "column 'region' .* is missing",
        "region=S/{day}.csv",
        source={"partitions": []},
    )
    yield bad(
        "a path without the column that is asked for",
        text.encode(),
        r"its path has no part 'city=…'",
        source={"partitions": ["city"]},
    )
