"""Files of rows: read, scored and written in batches, so that any size needs the same memory."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import torch

from driftune.errors import RowsError
from driftune.io import replacing
from driftune.serving.formats import Writer, format_of, open_writer, read_batches
from driftune.serving.scorer import Scorer
from driftune.training.threads import one_thread

# Threads beyond these wait for one another in Python.
_MOST = 8


class Scored(NamedTuple):
    """How many rows were scored, how many could not be, and where those are."""

    scored: int
    left: int
    left_in: Path | None


class Batch(NamedTuple):
    """Rows with their scores, rows that have none, and how many were read for both."""

    whole: pa.Table
    broken: pa.Table
    read: int


Scoring: TypeAlias = Callable[[Scorer, Path, str | None], AbstractContextManager[Iterator[Batch]]]
"""What scores the batches of a file, in the order of the rows; of one domain where one is named."""


def score_file(
    scorer: Scorer,
    source: Path,
    target: Path,
    domain: str | None = None,
    told: Callable[[int], None] = lambda rows: None,
    by: Scoring | None = None,
) -> Scored:
    """Score the rows of a file; the output has their columns, and those of ``Scorer.score``.

    Formats go by the endings: Parquet, CSV, JSON lines. Rows that cannot be scored go to a file
    beside ``target``, with the reason in ``why``; one of an earlier run is removed where there are
    none. ``domain``: score the rows of this one (its name) alone; ``told``: called with the rows
    that are done. The output appears whole or not at all. Batches are scored by a thread on each
    core (or ``by`` others), and written in the order of the rows.

    Raises:
        RowsError: in one line, for a file that cannot be read or is the output itself, rows of the
            wrong columns, or a domain that neither the rows nor the bundle know.
    """
    left_in = target.with_name(f"{target.stem}.not-scored{target.suffix}")
    _require_others(source, target, left_in)
    kind, done, left = format_of(target), 0, 0
    with ExitStack() as stack:
        part = stack.enter_context(replacing(target))
        kept: Writer | None = None
        beside: Writer | None = None
        with ExitStack() as writers:
            for whole, broken, read in writers.enter_context(
                (by or _scored)(scorer, source, domain)
            ):
                if kept is None:
                    kept = open_writer(kind, part, whole.schema)
                    writers.callback(kept.close)
                kept.write(whole)
                if broken.num_rows and beside is None:
                    side = stack.enter_context(replacing(left_in))
                    beside = open_writer(kind, side, broken.schema)
                    writers.callback(beside.close)
                if beside is not None:
                    beside.write(broken)
                done, left = done + whole.num_rows, left + broken.num_rows
                told(read)
        if domain is not None and done + left == 0:
            _require_known(scorer, source, domain)
    if left == 0:
        left_in.unlink(missing_ok=True)
    return Scored(done, left, left_in if left else None)


def _require_others(source: Path, target: Path, left_in: Path) -> None:
    for written in (target, left_in):
        if written.exists() and source.exists() and written.samefile(source):
            raise RowsError(f"{source}: would be written over by {written}; name another output")


def _require_known(scorer: Scorer, source: Path, domain: str) -> None:
    names = sorted(each["name"] for each in scorer.domains().values())
    if domain not in names:
        like = ", ".join(get_close_matches(domain, names, 3, 0) or ["none"])
        raise RowsError(
            f"{source}: no row is of the domain {domain!r}, which the bundle does not know; it "
            f"knows {like}"
        )


@contextmanager
def _scored(scorer: Scorer, source: Path, domain: str | None) -> Iterator[Iterator[Batch]]:
    """The batches of a file, scored by threads of which each computes on one core.

    More threads in each product would wait for each other wherever another process is at work.
    """
    workers = min(_MOST, torch.get_num_threads())
    with one_thread():
        pool = ThreadPoolExecutor(
            workers, "score", initializer=torch.set_num_threads, initargs=(1,)
        )
        try:
            yield _in_order(pool, workers + 1, scorer, source, domain)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, most: int, scorer: Scorer, source: Path, domain: str | None
) -> Iterator[Batch]:
    """The scored batches in order, of which at most so many are ahead of the one that is taken."""
    ahead: deque[Future[Batch]] = deque()
    for table in read_batches(source):
        ahead.append(pool.submit(score_batch, scorer, table, domain))
        if len(ahead) > most:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def score_batch(scorer: Scorer, table: pa.Table, domain: str | None) -> Batch:
    """Score rows, those of one domain alone where one is named."""
    scores = scorer.score(table)
    found = _together(table, scores)
    lacks = pc.is_null(scores["p_click"])
    if domain is not None:
        chosen = pc.equal(scores["domain"], domain)
        found, lacks = found.filter(chosen), lacks.filter(chosen)
    return Batch(found.filter(pc.invert(lacks)), found.filter(lacks), table.num_rows)


def _together(table: pa.Table, scores: pa.Table) -> pa.Table:
    """Rows with their scores; a column of theirs that is called like a score is ``given_NAME``."""
    names = list(table.column_names)
    for place, name in enumerate(names):
        if name in scores.column_names:
            while name in names or name in scores.column_names:
                name = f"given_{name}"
            names[place] = name
    table = table.rename_columns(names)
    for name in scores.column_names:
        table = table.append_column(name, scores[name])
    return table
