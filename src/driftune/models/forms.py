"""Whether what a recommender gives has the form that the loop needs: its logits, and its places."""

import torch
from torch import Tensor

from driftune.models.adapters.outputs import Output
from driftune.models.recommender import Recommender


def form_problem(model: Recommender, output: Output, rows: int) -> tuple[str, str] | None:
    """What is wrong with the shapes and types of an output, and the remedy."""
    if isinstance(output, Tensor) and model.conversions:
        return (
            "forward gives one tensor, and conversions = True asks for the logits of pCTR and pCVR",
            "give both, or set conversions = False in the class",
        )
    if not isinstance(output, Tensor) and not model.conversions:
        return (
            f"forward gives a {type(output).__name__}, and conversions = False asks for one tensor",
            "give the logit of pCTR alone, or set conversions = True",
        )
    parts = (output,) if isinstance(output, Tensor) else output
    if not isinstance(parts, tuple | list) or len(parts) != 1 + model.conversions:
        return f"forward gives a {type(parts).__name__} of {len(parts)}", "return two tensors"
    for name, part in zip(("pCTR", "pCVR"), parts, strict=False):
        if not isinstance(part, Tensor):
            return f"the logit of {name} is a {type(part).__name__}", "return a tensor"
        if part.shape != (rows,):
            shape = tuple(part.shape)
            return (
                f"the logit of {name} is {shape} for {rows} rows; it must be ({rows},)",
                "squeeze(1) of a layer of one column",
            )
        if not part.is_floating_point():
            return f"the logit of {name} is {part.dtype}", "return floating-point logits"
    return None


def place_problem(output: Output, rows: int) -> str | None:
    """Why no kernel can be put behind an output; None where one can."""
    if not isinstance(output, Tensor):
        return f"gives a {type(output).__name__}, a kernel takes one tensor"
    if output.dtype != torch.float32:
        return f"gives {output.dtype}, a kernel takes torch.float32"
    if output.ndim < 2 or len(output) != rows:
        return f"gives {tuple(output.shape)} for {rows} rows, a kernel takes (rows, …, width)"
    return None
