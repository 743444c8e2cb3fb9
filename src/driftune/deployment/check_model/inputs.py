"""Whether ``inputs`` makes tensors of any rows, and the model logits of those."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from driftune.deployment.check_model.subject import Finding, Subject, first, forward, logits, reason
from driftune.models.forms import form_problem
from driftune.models.recommender import Recommender
from driftune.training.rows import Rows

# So many rows are given by themselves.
_ALONE = 4
UNKNOWN = "an id that no log has"
# Rows without these go to quarantine.
_NEVER_NULL = {
    "user",
    "item",
    "domain",
    "time",
    "hour",
    *map("history_{}".format, ("user", "item")),
}


def check_inputs(subject: Subject) -> Iterator[Finding]:
    """What ``inputs`` gives for rows as they are, and for unusual ones."""
    model, rows = subject.model, first(subject.rows, 256)
    if problem := _problem(subject, rows):
        yield Finding(f"inputs: {problem[0]}", "wrong", problem[1])
        return
    given = ", ".join(
        f"{tuple(each.shape[1:]) or 'a value'} {str(each.dtype).removeprefix('torch.')}"
        for each in model.inputs(rows)
    )
    yield Finding(f"inputs: {len(model.inputs(rows))} tensors, by row: {given}")
    yield from _alone(subject, rows)
    bad = 0
    for name, make in UNUSUAL.items():
        other = make(rows, subject)
        problem = _problem(subject, other) or _no_logits(subject, other)
        if problem:
            bad += 1
            yield Finding(f"inputs: of {name}: {problem[0]}", "wrong", problem[1])
    if not bad:
        yield Finding(f"inputs: takes {', '.join(UNUSUAL)}")


def _alone(subject: Subject, rows: Rows) -> Iterator[Finding]:
    """What is wrong where ``inputs`` gives a row something else a second time, or beside others."""
    model, scored = subject.model, rows.as_scored()
    whole = model.inputs(scored)
    if not _same(whole, model.inputs(scored)):
        yield Finding(
            "inputs: the same rows get other tensors in a second call",
            "wrong",
            "let inputs depend on its rows alone: no random numbers, counters, clocks",
        )
        return
    for part in (
        slice(0, len(rows) // 2),
        *(slice(n, n + 1) for n in range(min(_ALONE, len(rows)))),
    ):
        own = model.inputs(rows.take(np.arange(len(rows))[part]).as_scored())
        among = tuple(each[part] for each in whole)
        # Padded to the longest of the rows, a row may yet get the same logits.
        padded = any(one.shape != other.shape for one, other in zip(own, among, strict=True))
        if not (_same_logits(model, own, among) if padded else _same(own, among)):
            yield Finding(
                f"inputs: what a row gets depends on the other rows, first seen of "
                f"{len(own[0])} of {len(rows)}",
                "wrong",
                "no mean, rank, padding or vocabulary of the rows that are given",
            )
            return


def _same_logits(model: Recommender, some: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> bool:
    return _same(*(logits(forward(model, each)) for each in (some, others)))


def _same(some: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> bool:
    return len(some) == len(others) and all(
        one.shape == other.shape and torch.allclose(one.double(), other.double(), 1e-5, 1e-6)
        for one, other in zip(some, others, strict=True)
    )


def _problem(subject: Subject, rows: Rows) -> tuple[str, str] | None:
    """What is wrong with what ``inputs`` gives for rows, and the remedy."""
    try:
        given = subject.model.inputs(rows.as_scored())
    except Exception as error:  # the user's code may fail in any way
        return f"fails ({reason(error)})", "inputs must take any rows"
    if not isinstance(given, tuple) or not given:
        return f"is a {type(given).__name__}", "return a tuple of tensors: return (ids,)"
    for number, each in enumerate(given):
        if not isinstance(each, Tensor):
            return f"argument {number} is a {type(each).__name__}", "make it a tensor"
        if each.shape[:1] != (len(rows),):
            shape = tuple(each.shape)
            return f"argument {number} is {shape} for {len(rows)} rows", "the rows come first"
        if each.device.type != "cpu":
            return f"argument {number} is on {each.device}", "leave it on the CPU"
        if each.is_floating_point() and not bool(each.isfinite().all()):
            return (
                f"argument {number} has NaN or infinity",
                "give missing values a number, such as columns.numbers_of does",
            )
    return None


def _no_logits(subject: Subject, rows: Rows) -> tuple[str, str] | None:
    """What is wrong with the logits of unusual rows; None of none is asked for."""
    if not len(rows):
        return None
    try:
        output = forward(subject.model, subject.model.inputs(rows.as_scored()))
    except Exception as error:  # the user's code may fail in any way
        return f"forward fails ({reason(error)})", "see that each value has a row in its table"
    if problem := form_problem(subject.model, output, len(rows)):
        return problem
    wrong = sum(int((~each.isfinite()).sum()) for each in logits(output))
    if wrong:
        return f"{wrong} logits are NaN or infinite", "each row must get a number"
    return None


def _with_table(rows: Rows, change: Callable[[str, pa.Array], pa.Array]) -> Rows:
    """The rows with other values in the table."""
    table = rows.table
    for number, name in enumerate(table.column_names):
        whole = table.column(name).combine_chunks()
        table = table.set_column(number, name, change(name, whole))
    return replace(rows, table=table)


def _unknown(rows: Rows, subject: Subject) -> Rows:
    def strange(name: str, column: pa.Array) -> pa.Array:
        if pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
            return pa.array([[UNKNOWN, None]] * len(column), column.type)
        if pa.types.is_string(column.type):
            return pa.array([UNKNOWN] * len(column), column.type)
        return column

    return _with_table(replace(rows, ids=torch.ones_like(rows.ids)), strange)


def _newest(rows: Rows, subject: Subject) -> Rows:
    """Rows of the last known id of each field."""
    sizes = torch.tensor(subject.sizes, dtype=torch.int64)
    return replace(rows, ids=(sizes - 1).expand(len(rows), -1).clone())


def _nulls(rows: Rows, subject: Subject) -> Rows:
    def nothing(name: str, column: pa.Array) -> pa.Array:
        if name in _NEVER_NULL or pa.types.is_list(column.type):
            return column
        return pa.nulls(len(column), column.type)

    numbers = torch.zeros_like(rows.numbers)
    return _with_table(replace(rows, ids=torch.zeros_like(rows.ids), numbers=numbers), nothing)


def _no_past(rows: Rows, subject: Subject) -> Rows:
    def empty(name: str, column: pa.Array) -> pa.Array:
        if pa.types.is_list(column.type):
            return pa.array([[]] * len(column), column.type)
        return column

    return _with_table(rows, empty)


UNUSUAL: dict[str, Callable[[Rows, Subject], Rows]] = {
    "no rows": lambda rows, _: rows.take(np.zeros(0, dtype=np.int64)),
    "one row": lambda rows, _: rows.take(np.zeros(1, dtype=np.int64)),
    "unknown ids": _unknown,
    "the last id of each field": _newest,
    "nulls": _nulls,
    "users without a past": _no_past,
}
