"""Lines of plain text: counted and numbered alike wherever the pieces that are read end."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.lake.readers import lines

TEXTS = st.lists(st.sampled_from([b"a", b"bc", b"", b'"', b","]), max_size=12)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(texts=TEXTS, block=st.integers(1, 7), closed=st.booleans())
def test_lines_are_counted_and_numbered(
    tmp_path_factory: pytest.TempPathFactory,
    end: bytes,
    texts: list[bytes],
    block: int,
    closed: bool,
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.csv"
    content = end.join(texts) + (end if texts and closed else b"")
    path.write_bytes(content)
    starts = (
        np.cumsum([0, *(len(text) + len(end) for text in texts[:-1])]) if texts else np.array([])
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        found = lines.figures(path)
        numbers = (
            lines.line_numbers(path, starts.astype(np.int64), end.decode()) if texts else starts
        )
    whole = [*texts] if closed or (texts and texts[-1]) else texts[:-1]
    assert numbers.tolist() == list(range(1, len(texts) + 1))
    assert found.lines == len(whole)
    if end != b"\r":
        assert found.blank == sum(not text for text in whole)
    assert not found.mixed


@pytest.mark.parametrize("block", [1, 3, 1 << 22])
def test_line_ends_are_made_alike_but_within_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\r\n1,"x\r\ny"\n2,z\r\n')
    monkeypatch.setattr(lines, "BLOCK", block)
    assert lines.figures(path).mixed
    assert b"".join(lines.line_feeds(path, b'"')) == b'a,b\n1,"x\r\ny"\n2,z\n'


@pytest.mark.parametrize("block", [1, 2, 5, 1 << 22])
@pytest.mark.parametrize("end", [b"", b"\n", b" ", b"\nx", b"\n\t\n"])
def test_lines_of_blanks_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, end: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    content = b"\n a \n\n\t\r\nb\r\n\r\n \v\f\n  \nc" + end
    path.write_bytes(content)
    monkeypatch.setattr(lines, "BLOCK", block)
    whole = content.removesuffix(b"\n").split(b"\n")
    assert lines.feed_lines(path) == len(whole)
    assert lines.blank_lines(path) == sum(not line.strip() for line in whole)
