"""Local paths of params.yaml: ``~`` and variables of the environment become what they stand for."""

import re
from collections.abc import Mapping
from pathlib import Path

# Keys whose values may be local paths; what has another scheme than these is left as it is.
KEYS = (
    *("workspace", "lake", "source.uri", "reference.uri"),
    *("registry.ledger", "registry.mlflow", "observe.log_file"),
)
_LOCAL = re.compile(r"(?:file|local)://|sqlite(?:\+\w+)?:///|file:(?!//)")
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<braced>[^{}]*)\}|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))")


def expanded(value: str, env: Mapping[str, str]) -> str:
    """A local path with its leading ``~`` and its ``$NAME`` and ``${NAME}`` filled in.

    ``$$`` is the sign itself. A URL of another store is returned as it is.

    Raises:
        ValueError: when a variable is not set or empty, or a home is not known.
    """
    scheme = _LOCAL.match(value)
    start = scheme.end() if scheme else 0
    if "://" in value and not scheme:
        return value
    return value[:start] + _VARIABLE.sub(
        lambda found: _filled(found, env), _home(value, start, env)
    )


def _home(value: str, start: int, env: Mapping[str, str]) -> str:
    """What follows ``start``, with a home folder in place of a leading ``~`` or ``~NAME``."""
    path = value[start:]
    if not path.startswith("~"):
        return path
    name, slash, rest = path.partition("/")
    try:
        home = (env.get("HOME") if name == "~" else None) or str(Path(name).expanduser())
    except RuntimeError:
        raise ValueError(
            f"no home folder is known for {name}; set HOME or write the whole path"
        ) from None
    # A folder's own $ is none of a variable.
    return home.rstrip("/").replace("$", "$$") + slash + rest


def _filled(found: re.Match[str], env: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    name = found["bare"] if found["braced"] is None else found["braced"]
    if not env.get(name):
        raise ValueError(
            f"the variable {found[0]} is not set; set it, or write the path "
            "(a sign $ of the path itself is written $$)"
        )
    return env[name]
