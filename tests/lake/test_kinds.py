"""A file that begins as one of another kind is refused; one that only looks so is read."""

from pathlib import Path

import pytest

from driftune.errors import SourceError
from driftune.lake.readers.kinds import check_kind
from driftune.lake.source import SourceFile


def looked_at(folder: Path, kind: str, content: bytes) -> None:
    path = folder / f"day.{kind}"
    path.write_bytes(content)
    check_kind(SourceFile(str(path), path, kind, len(content), "", 0))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1, "b": 2}\n{"a": 2}\n', "JSON lines"),
        (b'\xef\xbb\xbf{"a": 1}\n', "JSON lines"),
        (b'{\n  "a": 1\n}\n', "JSON lines"),
        (b'{"a": "' + b"x" * 5000, "JSON lines"),
        (b"<html><body>403</body></html>", "HTML"),
        (b"\xef\xbb\xbf<!DOCTYPE html>", "HTML"),
        (b'<?xml version="1.0"?>', "HTML"),
        (b"PAR1", "Parquet"),
        (b"\x1f\x8b\x08", "gzip"),
    ],
)
def test_another_kind_is_refused_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said) as error:
        looked_at(tmp_path, "csv", content)
    assert str(tmp_path / "day.csv") in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b'{"device": "ios"}\tu1\t1\n',
        b'{"device": "ios"};u1;1\n',
        b"<HtmlTag>,<user>\n1,2\n",
        b"\xff\xfea\x00",
        b"",
    ],
)
def test_csv_that_begins_like_another_kind_is_read(tmp_path: Path, content: bytes) -> None:
    looked_at(tmp_path, "csv", content)
