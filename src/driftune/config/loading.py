"""Loading params.yaml: environment overrides, and errors that name file, key, value and choice."""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TypeAlias, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from driftune.config import Config
from driftune.config.expressions import refused_expressions
from driftune.config.feature_names import refused_features
from driftune.config.messages import cut, no_yaml, wrong_values
from driftune.config.paths import KEYS, expanded
from driftune.errors import ConfigError

# What YAML text may hold.
Value: TypeAlias = str | int | float | bool | date | list["Value"] | dict[str, "Value"] | None
Tree = dict[str, Value]

PREFIX = "DRIFTUNE__"
Settings = TypeVar("Settings", bound=BaseModel)
# DVC tracks these for pre-training: an override would make its lock file lie.
TRACKED = (
    *("reference", "columns", "tables", "negatives", "domains", "features", "backbone"),
    *("recommender", "timezone", "seed"),
)

# Signs that libyaml reads otherwise than PyYAML, and how deep a text may be that is left to it.
_UNLIKE, _DEEP = "\ufeff\t!?>", 300

# delta-rs takes these for parts of a URL or a pattern.
_NOT_IN_PATHS = "[]*?%"


class _Strict(yaml.constructor.SafeConstructor):  # type: ignore[misc]  # PyYAML has no types
    """Refuses a key that a section has twice: the first one's value would be lost unseen.

    All that is wrong is a ``YAMLError``: PyYAML lets Python's own errors of dates and numbers out.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Value:
        """The value of a node; see ``yaml.SafeLoader``."""
        try:
            value: Value = super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            shown = cut(repr(node.value if isinstance(node, yaml.ScalarNode) else node.tag))
            raise yaml.YAMLError(
                f"line {node.start_mark.line + 1}: {shown} is no value ({error}); correct it, or "
                "write text in quotes"
            ) from None
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Tree:
        """The mapping of a node; see ``yaml.SafeLoader``."""
        seen = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError(f"line {line}: a key is a list or mapping; write a name")
            if key.value in seen:
                raise yaml.YAMLError(f"line {line}: '{key.value}' is there twice; remove one")
            seen.add(key.value)
        mapping: Tree = super().construct_mapping(node, deep)
        return mapping


class _Loader(_Strict, yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Says what is wrong in the same words wherever PyYAML was built."""


# libyaml's, where PyYAML was built with it: it takes a tenth of the time.
_Fast: type[_Loader] = (
    type("_Fast", (_Strict, yaml.CSafeLoader), {}) if yaml.__with_libyaml__ else _Loader
)


def load_config(path: str | Path, env: Mapping[str, str] | None = None) -> Config:
    """Read and validate ``path``; ``DRIFTUNE__SECTION__KEY`` variables override its values.

    ``~`` and variables in local paths are filled in.

    Raises:
        ConfigError: with one line per wrong key, naming file, key, value and what is allowed.
    """
    file = Path(path)
    tree = _read(file, "give --config PATH")
    env = os.environ if env is None else env
    set_by = _apply_env(tree, env)
    _expand(tree, env, file)
    config = _validated(Config, tree, file, set_by).read_from(file)
    _check_expressions(config, file)
    wrong = sorted(set(_NOT_IN_PATHS) & set(str(config.home)))
    if wrong:
        raise ConfigError(
            f"{file}: workspace = '{config.home}': the lake cannot lie in a folder with "
            f"{' '.join(wrong)} in its path; choose another"
        )
    return config


def load_settings(model: type[Settings], file: Path) -> Settings:
    """Read and validate a YAML file of other settings.

    Raises:
        ConfigError: as ``load_config`` does.
    """
    return _validated(model, _read(file, "give the path of a YAML file"), file)


def _read(file: Path, remedy: str) -> Tree:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error}); {remedy}") from None
    try:
        tree = _parsed(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {no_yaml(error)}") from None
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else f"a {type(tree).__name__}"
        raise ConfigError(
            f"{file}: expected a mapping of sections such as source: and columns:, found {found}; "
            "driftune init LOGS writes one"
        )
    return tree


def _parsed(text: str) -> Value:
    """The value of a YAML text.

    Raises:
        YAMLError: for one that is wrong, or deeper than Python goes.
    """
    try:
        if _is_plain(text):
            with suppress(yaml.YAMLError):
                plain: Value = yaml.load(text, _Fast)
                return plain
        tree: Value = yaml.load(text, _Loader)
    except ValueError as error:
        # Such as an escape of a character that there is not.
        raise yaml.YAMLError(f"a value cannot be read ({error}); correct it") from None
    except RecursionError:
        raise yaml.YAMLError("lists or sections are too deep; remove brackets") from None
    return tree


def _is_plain(text: str) -> bool:
    """Whether libyaml reads the text as Python's loader does, and gets to its end.

    It takes some signs otherwise, and recurses in C: a text thousands deep ends the process.
    """
    opened = sum(map(text.count, ("[", "{", "- -")))
    indented = max((len(line) - len(line.lstrip(" ")) for line in text.splitlines()), default=0)
    return not set(_UNLIKE) & set(text) and opened + indented < _DEEP


def _validated(
    model: type[Settings], tree: Tree, file: Path, set_by: Mapping[str, str] | None = None
) -> Settings:
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(wrong_values(error, model, file, set_by or {})) from None


def _check_expressions(config: Config, file: Path) -> None:
    """See that each SQL of the configuration is one expression over the columns of a row, and that
    no feature reads what it may not.

    Raises:
        ConfigError: naming those that are not.
    """
    given = {config.expression_key(name): sql for name, sql in config.expressions().items()}
    refused = refused_expressions(given)
    if refused:
        lines = [f"{file}: {key} = {given[key]!r}: {problem}" for key, problem in refused.items()]
        raise ConfigError("; ".join(lines))
    unfit = [f"{file}: {said}: {problem}" for said, problem in refused_features(config).items()]
    if unfit:
        raise ConfigError("; ".join(unfit))


def _apply_env(tree: Tree, env: Mapping[str, str]) -> dict[str, str]:
    """Override values; returns the variables by the dotted keys that they have set."""
    set_by = {}
    for name in sorted(env):
        if not name.startswith(PREFIX):
            continue
        keys = name.removeprefix(PREFIX).lower().split("__")
        if not all(keys):
            raise ConfigError(f"{name}: names no key; write {PREFIX}SECTION__KEY, or unset it")
        if keys[0] in TRACKED:
            raise ConfigError(
                f"{name}: '{keys[0]}' is tracked by DVC for pre-training and cannot be overridden "
                "by the environment; edit params.yaml"
            )
        node = tree
        for key in keys[:-1]:
            child = node.setdefault(key, {})
            if not isinstance(child, dict):
                raise ConfigError(f"{name}: '{key}' is a value, not a section")
            node = child
        try:
            node[keys[-1]] = _parsed(env[name])
        except yaml.YAMLError:
            raise ConfigError(f"{name}: {cut(repr(env[name]))} is not valid YAML") from None
        set_by[".".join(keys)] = name
    return set_by


def _expand(tree: Tree, env: Mapping[str, str], file: Path) -> None:
    """Fill in ``~`` and variables in the values that are local paths."""
    tables = tree.get("tables")
    named = tables if isinstance(tables, dict) else {}
    for key in (*KEYS, *(f"tables.{name}.uri" for name in named if "." not in str(name))):
        *sections, last = key.split(".")
        node: Value = tree
        for name in sections:
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, dict) or not isinstance(value := node.get(last), str):
            continue
        try:
            node[last] = expanded(value, env)
        except ValueError as error:
            raise ConfigError(f"{file}: {key} = {value!r}: {error}") from None
