"""MkDocs hook: the reference of params.yaml and of the command line, made from the code."""

import ast
import inspect
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import click
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[1]
# What pydantic's constraints are called in the table of limits.
LIMITS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}", "pattern": "pattern `{}`"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are generated."""
    sys.path.insert(0, str(ROOT / "src"))
    for path, text in (("reference/params.md", params_page()), ("reference/cli.md", cli_page())):
        files.append(File.generated(config, path, content=text))
    return files


def params_page() -> str:
    """The reference of params.yaml, a table for each section."""
    from driftune.config import Config

    parts = [
        "# params.yaml",
        "Made from the classes in `src/driftune/config`. Every key may be left out where the table "
        "shows a default. An unknown key or a wrong value stops the command before anything runs. "
        "`DRIFTUNE__SECTION__KEY` in the environment overrides a value, except in `reference`, "
        "`columns`, `tables`, `negatives`, `domains`, `features`, `backbone`, `timezone` and "
        "`seed`, which DVC tracks.",
        "## Paths",
        _paths(),
    ]
    for name, model in _sections("", Config):
        parts += [f"## {name or 'Top level'}", *_table(name, model)]
    return "\n\n".join(parts) + "\n"


def _paths() -> str:
    """What local paths may hold."""
    from driftune.config.paths import KEYS

    keys = ", ".join(f"`{key}`" for key in KEYS)
    return (
        f"Local paths ({keys}) may begin with `~` and name variables, `$DATA/…` or `${{DATA}}/…`, "
        "in `params.yaml` and in the environment's overrides alike. A variable that is not set, "
        "or a home that is not known, is an error of one line; `$$` is the sign `$` itself. DVC "
        "tracks the path as it is written. URLs of stores and servers are left as they are. A "
        "worker fills paths in from its own environment."
    )


def _sections(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield name, model
    for key, field in model.model_fields.items():
        for inner in _models(field.annotation):
            yield from _sections(f"{name}.{key}".lstrip("."), inner)


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _table(section: str, model: type[BaseModel]) -> list[str]:
    lines = ["| key | meaning | type | default | limits |", "| --- | --- | --- | --- | --- |"]
    meanings = meanings_of(model)
    for key, field in model.model_fields.items():
        cells = [f"`{field.alias or key}`", _cell(meanings.get(key, "")), _type(field.annotation)]
        lines.append("| " + " | ".join([*cells, _default(field), _limits(field)]) + " |")
    text = " ".join((model.__doc__ or "").split()).replace("``", "`")
    return [text, "\n".join(lines)]


def meanings_of(model: type[BaseModel]) -> dict[str, str]:
    """The sentence below each key of a section, as its class has it."""
    (node,) = ast.parse(inspect.getsource(model)).body
    body = node.body if isinstance(node, ast.ClassDef) else []
    return {
        field.target.id: " ".join(str(text.value.value).split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _type(annotation: object) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inside[0])
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in inside)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in inside))
    if origin in (list, tuple):
        return f"{'pair' if origin is tuple else 'list'} of {_type(inside[0])}"
    if origin is dict:
        return f"mapping of {_type(inside[0])} to {_type(inside[1])}"
    if annotation is NoneType:
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    known = {"date": "day", "Path": "path"}
    if isinstance(annotation, type):
        return plain.get(annotation) or known.get(annotation.__name__, annotation.__name__)
    return str(annotation)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else value
    return f"`{_cell(str(text))}`"


def _limits(field: FieldInfo) -> str:
    found = list(field.metadata)
    found += [item for part in get_args(field.annotation) for item in _metadata(part)]
    shown = [
        words.format(_cell(str(getattr(item, name))))
        for item in found
        for name, words in LIMITS.items()
        if getattr(item, name, None) is not None
    ]
    if any(getattr(item, "min_length", None) for item in found):
        shown.append("not empty")
    return ", ".join(dict.fromkeys(shown))


def _metadata(annotation: object) -> list[object]:
    if get_origin(annotation) is not Annotated:
        return [item for part in get_args(annotation) for item in _metadata(part)]
    inner = get_args(annotation)[1:]
    return [item for given in inner for item in getattr(given, "metadata", [given])]


def cli_page() -> str:
    """The reference of the command line, a heading for each command."""
    from driftune.cli import app

    root = typer.main.get_command(app)
    parts = [
        "# Command line",
        "Made from the help of each command. The program lies in `.venv/bin`. An error is one line "
        "and a non-zero exit code; `--debug` shows the traceback.",
    ]
    for name, command in _commands("driftune", root):
        parts += [f"## {name}", *_command(name, command)]
    return "\n\n".join(parts) + "\n"


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for part in sorted(inner):
        yield from _commands(f"{name} {part}", inner[part])


def _command(name: str, command: click.Command) -> list[str]:
    usage, lines = [name], ["| option | meaning | default |", "| --- | --- | --- |"]
    for given in command.params:
        if given.name == "help":
            continue
        shown = " / ".join(given.opts) if given.param_type_name == "option" else _argument(given)
        if given.param_type_name == "argument":
            usage.append(shown)
        elif given.required:
            usage.append(f"{given.opts[0]} {(given.name or '').upper()}")
        default = "**required**" if given.required else _option_default(given.default)
        lines.append(f"| `{shown}` | {_cell(getattr(given, 'help', None) or '')} | {default} |")
    text = (command.help or "").replace("\f", "")
    return [f"```\n{' '.join(usage)} [OPTIONS]\n```", text, "\n".join(lines)]


def _argument(given: click.Parameter) -> str:
    name = (given.metavar or given.name or "").upper()
    return f"{name} …" if given.nargs == -1 else name


def _option_default(value: object) -> str:
    if value is None or value is False or callable(value) or "Sentinel" in type(value).__name__:
        return ""
    return f"`{value}`"
