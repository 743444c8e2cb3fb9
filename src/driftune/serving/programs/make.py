"""Programs are made at an export, tried on rows of the lake, and kept while nothing changes."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from driftune.errors import BundleError
from driftune.io import JsonObject, json_text
from driftune.serving.generation import Generation
from driftune.serving.manifest import Manifest
from driftune.serving.own import CODE, MODEL
from driftune.serving.parts import Part, put
from driftune.serving.programs.described import File, Input, Made, Programs, Schema, Slot
from driftune.serving.programs.formats import Format, versions_of
from driftune.serving.programs.module import Program, program_of, slots_of
from driftune.serving.programs.refused import why
from driftune.serving.scores import scores_of

TOLERATED = 1e-6
# Rows by which a program is traced; it holds for any number of them.
_TRACED = 16


class Tried(NamedTuple):
    """Rows to make and try programs by: the model's inputs, and each row's domain key."""

    inputs: tuple[Tensor, ...]
    keys: Sequence[str]


def make_programs(
    bundle: Path,
    now: Generation,
    tried: Tried,
    formats: Sequence[Format],
    before: Manifest | None,
) -> tuple[Programs, dict[str, Part], dict[str, Made]]:
    """Write programs of a generation as parts of the bundle.

    Returns what the manifest says of them, the parts by their names, and what was made. A program
    of ``before`` that is of the same model, adapters and versions is kept.

    Raises:
        BundleError: in one line, when the model cannot be exported, or a program's scores differ
            from the scorer's by more than ``TOLERATED``.
    """
    if not len(tried.keys):
        raise BundleError(f"{bundle}: the newest day has no rows to try programs by")
    program = program_of(now)
    said = _said(now, program, tried.inputs)
    files: dict[str, File] = {}
    parts: dict[str, Part] = {}
    made: dict[str, Made] = {}
    traced: ExportedProgram | None = None
    for form in formats:
        mark, name = _mark(now, said, form), f"program {form.name}"
        part, differs = _kept(bundle, before, form, mark), None
        if part is None:
            traced = traced or _traced(now, program, tried)
            data = _written(now, form, traced, said)
            differs = _compare(now, form, data, said, tried)
            part = put(bundle, {form.file: data})
        parts[name] = part
        path = str((part.folder(bundle) / form.file).relative_to(bundle))
        made[form.name] = Made(path, differs)
        files[form.name] = File(path, name, mark)
    return said.with_files(files), parts, made


def _said(now: Generation, program: Program, inputs: tuple[Tensor, ...]) -> Programs:
    slots, domains = slots_of(now), now.manifest.domains
    every = (torch.zeros(1, dtype=torch.long), *inputs)
    return Programs(
        tuple(
            Input(name, str(each.dtype).removeprefix("torch."), tuple(each.shape[1:]))
            for name, each in zip(program.names(inputs), every, strict=True)
        ),
        tuple(program.outputs),
        {domains[key].name: Slot(slot, domains[key].version) for key, slot in slots.items()},
        Schema(now.manifest.encoder, now.card.fields, now.card.sizes, now.card.numbers),
        TOLERATED,
        {},
    )


def _mark(now: Generation, said: Programs, form: Format) -> str:
    """The hash of all that a program is made of."""
    held = now.manifest
    adapters = [held.part(each.part).name for each in held.domains.values() if each.part]
    parts = [held.part(name).name for name in (MODEL, CODE) if name in held.parts]
    made: JsonObject = {
        "said": said.as_json(),
        "parts": [*parts, *adapters],
        "by": {"driftune": held.version, "torch": torch.__version__, **versions_of(form)},
    }
    return hashlib.sha256(json_text(made).encode()).hexdigest()


def _kept(bundle: Path, before: Manifest | None, form: Format, mark: str) -> Part | None:
    """The part of the former manifest that is the very program, and whole."""
    if before is None or before.programs is None:
        return None
    had = before.programs.files.get(form.name)
    if had is None or had.of != mark or had.part not in before.parts:
        return None
    part = before.parts[had.part]
    return None if part.damage(bundle) else part


def _traced(now: Generation, program: Program, tried: Tried) -> ExportedProgram:
    count = max(2, min(_TRACED, len(tried.keys)))
    index = torch.arange(count) % len(tried.keys)
    some = tuple(each[index] for each in tried.inputs)
    slots = index % (len(slots_of(now)) + 1)
    rows = Dim("rows", min=0)
    try:
        with torch.no_grad():
            traced = torch.export.export(
                program,
                (slots, *some),
                dynamic_shapes=({0: rows}, tuple({0: rows} for _ in some)),
                strict=False,
            )
    except Exception as error:
        raise _refused(now, "torch.export", error) from None
    # Rows are people's, and paths this machine's: neither belongs into the file.
    traced.example_inputs = None
    for node in traced.graph.nodes:
        node.meta.pop("stack_trace", None)
    return traced


def _written(now: Generation, form: Format, traced: ExportedProgram, said: Programs) -> bytes:
    try:
        return form.write(traced, said)
    except Exception as error:
        raise _refused(now, f"--format {form.name}", error) from None


def _compare(now: Generation, form: Format, data: bytes, said: Programs, tried: Tried) -> float:
    """The largest difference between a program's scores and the scorer's.

    Of each row in its own domain and in another one, of all rows at once, of two and of one.

    Raises:
        BundleError: when it is more than is tolerated.
    """
    known = slots_of(now)
    own = torch.tensor([known.get(key, 0) for key in tried.keys])
    others = torch.arange(len(own)) % (len(known) + 1)
    largest = 0.0
    for slots, count in ((own, len(own)), (others, len(own)), (others, 2), (own, 1)):
        some = tuple(each[:count] for each in tried.inputs)
        inputs = dict(zip(said.names, (slots[:count], *some), strict=True))
        try:
            found = form.run(data, inputs)
        except Exception as error:
            raise _refused(now, f"--format {form.name} (running it)", error) from None
        for name, wanted in _wanted(now, slots[:count] - 1, some).items():
            # NaN where the scorer has a number is a difference, too.
            apart = np.abs(found[name] - wanted)
            apart[np.isnan(found[name]) & np.isnan(wanted)] = 0
            largest = max(largest, float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0)))
    if largest > TOLERATED:
        raise BundleError(
            f"--format {form.name}: the program's scores differ from the scorer's by up to "
            f"{largest:.2g} ({TOLERATED:g} is tolerated); it is not written"
        )
    return largest


@torch.inference_mode()
def _wanted(now: Generation, slots: Tensor, inputs: tuple[Tensor, ...]) -> Mapping[str, np.ndarray]:
    click, convert = scores_of(now, slots, inputs)
    if convert is None or not now.manifest.conversions:
        return {"p_click": click}
    return {"p_click": click, "p_convert": convert, "p_ctcvr": click * convert}


def _refused(now: Generation, form: str, error: Exception) -> BundleError:
    model = type(now.pristine).__name__
    return BundleError(f"{form} refuses {model}: {why(error)}; export without that format")
