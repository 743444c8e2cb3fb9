"""Why a model cannot be exported, in one line, of what PyTorch says in a page."""

import re

_AT = re.compile(r'File "([^"]+)", line (\d+), in [^\n]*\n\s*([^\n]*)')
_SPECIAL = "your code specialized it to be a constant"
_COLOURS = re.compile(r"\x1b\[\d+m")


def why(error: BaseException) -> str:
    """What is wrong with a model that an exporter refuses, and where in its code if that is known.

    What other exporters raise is told by the error that began it.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    said = _COLOURS.sub("", str(error))
    if "data-dependent" in said:
        reason = "its forward asks for a tensor's values (a branch, a loop, a size, .item())"
    elif _SPECIAL in said:
        reason = "its forward holds for one number of rows alone (a loop over rows, len())"
    else:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        reason = (lines[0] if lines else type(error).__name__)[:200]
    found = _AT.findall(said.partition("The following call raised this error")[2])
    if found:
        path, line, code = found[-1]
        reason += f", at {path.rpartition('/')[2]}:{line}: {code.strip()[:80]}"
    return " ".join(reason.split())
