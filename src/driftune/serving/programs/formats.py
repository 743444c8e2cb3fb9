"""Formats of programs: how each is written, and run to be compared."""

import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

from driftune.errors import BundleError
from driftune.serving.programs.described import Programs

# What a program's file says of itself: the JSON under this name.
SAID = "program.json"


class Format(Protocol):
    """A format: its name, the name of its file, and the packages that make and run it."""

    name: ClassVar[str]
    file: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]

    def write(self, program: ExportedProgram, said: Programs) -> bytes:
        """The file's bytes, which hold what is said of the program."""

    def run(self, data: bytes, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Load the file from its bytes as others do, and run it."""


class TorchFormat:
    """A program of ``torch.export``, which ``torch.export.load`` reads."""

    name: ClassVar[str] = "torch"
    file: ClassVar[str] = "scores.pt2"
    packages: ClassVar[tuple[str, ...]] = ("torch",)

    def write(self, program: ExportedProgram, said: Programs) -> bytes:
        """See ``Format.write``; inputs go by position, in their order."""
        file = io.BytesIO()
        torch.export.save(program, file, extra_files={SAID: _text(said)})
        return file.getvalue()

    def run(self, data: bytes, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """See ``Format.run``."""
        module = torch.export.load(io.BytesIO(data)).module()
        return {name: each.numpy() for name, each in module(*inputs.values()).items()}


class OnnxFormat:
    """ONNX, which ``onnxruntime`` and others read."""

    name: ClassVar[str] = "onnx"
    file: ClassVar[str] = "scores.onnx"
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnxruntime")

    def write(self, program: ExportedProgram, said: Programs) -> bytes:
        """See ``Format.write``."""
        import onnx

        with _quiet("torch.onnx", "onnxscript", "onnx_ir"):
            made = torch.onnx.export(
                program,
                (),
                dynamo=True,
                verbose=False,
                input_names=said.names,
                output_names=said.outputs,
            )
        assert made is not None
        model: onnx.ModelProto = made.model_proto
        onnx.helper.set_model_props(model, {SAID: _text(said)})
        return model.SerializeToString(deterministic=True)

    def run(self, data: bytes, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """See ``Format.run``."""
        import onnxruntime

        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_outputs()]
        given = {name: each.numpy() for name, each in inputs.items()}
        return dict(zip(names, session.run(names, given), strict=True))


FORMATS: dict[str, Format] = {each.name: each for each in (TorchFormat(), OnnxFormat())}


def formats_of(names: Sequence[str]) -> list[Format]:
    """The formats of these names, in their order, each once.

    Raises:
        BundleError: when there is no such format, or its packages are not installed.
    """
    found = []
    for name in dict.fromkeys(names):
        if name not in FORMATS:
            raise BundleError(f"--format {name}: is not known; there are {', '.join(FORMATS)}")
        if not versions_of(FORMATS[name]):
            needed = ", ".join(FORMATS[name].packages)
            raise BundleError(
                f"--format {name}: needs {needed}; install the extra {name}: "
                f"pip install 'driftune[{name}]'"
            )
        found.append(FORMATS[name])
    return found


def versions_of(form: Format) -> dict[str, str]:
    """The versions of what makes a format; none where a package of it is not installed."""
    try:
        return {name: version(name).partition("+")[0] for name in form.packages}
    except PackageNotFoundError:
        return {}


def _text(said: Programs) -> str:
    return json.dumps(said.as_json() | {"files": {}}, sort_keys=True)


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Keep exporters from telling what they do."""
    loggers = [logging.getLogger(name) for name in names]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
