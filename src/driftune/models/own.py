"""A recommender of the user's own: made by its factory, with weights that nothing unpickles."""

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from driftune.checksums import sha256_of
from driftune.config import Config
from driftune.config.recommender import RecommenderSettings
from driftune.errors import BackboneError, ConfigError
from driftune.features.encoder import Encoder
from driftune.features.raw import raw_names
from driftune.io import json_text
from driftune.models.imports import IMPORTING, files_of, imported
from driftune.models.recommender import Recommender, Schema

_NESTED = ("state_dict", "model_state_dict")
# Bytes of weights from which a model is first made without memory for its own initial values.
LARGE = 1 << 28
# Readings of weights that change meanwhile.
TRIES = 2
# The name under which a module keeps the hash of the code that it was imported from.
_HASH = "__driftune_code__"


@dataclass(frozen=True)
class Origin:
    """What a recommender was made of: the hashes of its weights and its code."""

    weights: str
    code: str

    def mark(self, settings: RecommenderSettings) -> str:
        """The model's fingerprint, SHA-256 (hex): adapters and profiles are made for it."""
        read = {"factory", "options", "columns", "history"}
        asked = json_text(settings.model_dump(mode="json", include=read))
        return hashlib.sha256(f"{self.weights} {self.code} {asked}".encode()).hexdigest()


def load_own(
    config: Config, settings: RecommenderSettings, encoder: Encoder
) -> tuple[Recommender, Origin]:
    """The recommender that ``params.yaml`` names, frozen and in evaluation mode.

    Its weights stay in their file, mapped into memory, until they are read.

    Raises:
        ConfigError: when the factory cannot be imported, fails, or gives something else.
        BackboneError: when the weights are missing, damaged or of another model.
    """
    module, path = _module(config, settings), weights_file(config, settings)
    for _ in range(TRIES):
        before = _state(path)
        tensors = _checked_tensors(config, path)
        large = path.stat().st_size >= LARGE
        model = _made_without_memory(config, settings, module, encoder, tensors) if large else None
        if model is None:
            model = _made(config, settings, module, encoder)
            _fill(model, tensors, path)
        weights = sha256_of(path)
        if _state(path) == before:
            break
    else:
        raise BackboneError(
            f"{path}: changed while it was read; write new weights beside it, and rename them"
        )
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.converts = config.columns.convert is not None
    return model.eval(), Origin(weights, vars(module)[_HASH])


def require_metric(config: Config, settings: RecommenderSettings, model: Recommender) -> None:
    """See that the gate asks for nothing that the model does not predict.

    Raises:
        ConfigError: naming ``gate.metric``.
    """
    if config.gate.metric == "ctcvr_auc" and not model.conversions:
        raise ConfigError(
            f"{config.source_file}: gate.metric = 'ctcvr_auc', but {settings.factory} predicts no "
            "conversions; write ctr_auc"
        )


def weights_file(config: Config, settings: RecommenderSettings) -> Path:
    """Where its weights lie."""
    return (config.root / settings.weights).resolve()


def code_files(config: Config, settings: RecommenderSettings) -> dict[str, Path]:
    """The files of code that its fingerprint covers, by their names in it.

    They are those of the factory's package, and what ``recommender.code`` names.

    Raises:
        ConfigError: when one that is named is not there, or the factory cannot be imported.
    """
    return _code_files(config, settings, _module(config, settings))


def schema_of(config: Config, encoder: Encoder) -> Schema:
    """What the factory is told of the rows."""
    own = config.recommender
    past = 0 if own is None or own.history is None else own.history.length
    return Schema(encoder.fields, encoder.sizes, encoder.numbers, raw_names(config), past)


def code_hash(files: Mapping[str, str]) -> str:
    """The hash of a recommender's code, SHA-256 (hex), from those of its files by their names."""
    digest = hashlib.sha256()
    for name, sha256 in sorted(files.items()):
        digest.update(f"{name} {sha256}\n".encode())
    return digest.hexdigest()


def _module(config: Config, settings: RecommenderSettings) -> ModuleType:
    """The factory's module as its files are now: imported anew where they have changed since."""
    name = settings.factory.partition(":")[0]
    with IMPORTING, _found_from(config.root, name):
        held = sys.modules.get(name)
        if held is not None and _inside(held, config.root):
            if vars(held).get(_HASH) == _code_hash(config, settings, held):
                return held
            for package in _packages(config.root, name):
                _forget(package)
        try:
            module = importlib.import_module(name)
        except Exception as error:
            raise ConfigError(
                f"{config.source_file}: recommender.factory: {name} cannot be imported "
                f"({_reason(error)}); it is looked for in {config.root} and among the packages "
                "that are installed"
            ) from None
        setattr(module, _HASH, _code_hash(config, settings, module))
        return module


def _state(path: Path) -> tuple[int, int, int] | None:
    """What differs once a file was written again; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _packages(root: Path, name: str) -> set[str]:
    """Top-level names of the project's folder that the factory's code imports, and its own."""
    wanted = {name.partition(".")[0]}
    files = files_of(root, name)
    # A file that is no Python is told of by its import.
    with suppress(SyntaxError):
        wanted |= {each.relative_to(root.resolve()).parts[0] for each in imported(root, files)}
    return {each.removesuffix(".py") for each in wanted}


@contextmanager
def _found_from(root: Path, name: str) -> Iterator[None]:
    """Modules of the project's folder come first, also before another project's of that name.

    Those are the factory's package and what its code imports.
    """
    for package in _packages(root, name):
        _release(root, package)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(root))


def _release(root: Path, package: str) -> None:
    """Forget a package that is another project's, where this one has one of its name."""
    held = sys.modules.get(package)
    own = [root / package, root / f"{package}.py"]
    if held is not None and any(path.exists() for path in own) and not _inside(held, root):
        _forget(package)


def _forget(package: str) -> None:
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        del sys.modules[name]


def _inside(module: ModuleType, root: Path) -> bool:
    places = [module.__file__] if module.__file__ else list(getattr(module, "__path__", []))
    return any(Path(place).resolve().is_relative_to(root.resolve()) for place in places)


def _made(
    config: Config, settings: RecommenderSettings, module: ModuleType, encoder: Encoder
) -> Recommender:
    where, name = f"{config.source_file}: recommender.factory", settings.factory.partition(":")[2]
    factory: Callable[..., nn.Module] | None = getattr(module, name, None)
    if not callable(factory):
        raise ConfigError(f"{where}: {module.__name__} has no function {name!r}")
    try:
        # A factory may import what it needs when it is called.
        with _found_from(config.root, module.__name__), torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = factory(schema_of(config, encoder), **settings.options)
    except Exception as error:
        raise ConfigError(
            f"{where}: {settings.factory} failed ({_reason(error)}); it is called with a Schema "
            "and recommender.options"
        ) from None
    if not isinstance(model, Recommender):
        raise ConfigError(
            f"{where}: {settings.factory} gave a {type(model).__name__}; it must be a "
            "driftune.models.recommender.Recommender"
        )
    return model


def _made_without_memory(
    config: Config,
    settings: RecommenderSettings,
    module: ModuleType,
    encoder: Encoder,
    tensors: Mapping[str, Tensor],
) -> Recommender | None:
    """The model with its weights, made on the meta device; None where it cannot be made there.

    Initial values of large tables take time, and as much memory again as the weights.
    """
    try:
        with torch.device("meta"):
            model = _made(config, settings, module, encoder)
        model.load_state_dict(dict(tensors), assign=True)
    except (ConfigError, RuntimeError):
        return None
    own = [value for part in model.modules() for value in vars(part).values()]
    held = [*model.parameters(), *model.buffers(), *own]
    left = any(isinstance(each, Tensor) and each.is_meta for each in held)
    return None if left else model


def _checked_tensors(config: Config, path: Path) -> dict[str, Tensor]:
    try:
        tensors = _tensors(path)
    except FileNotFoundError:
        raise BackboneError(
            f"{config.source_file}: recommender.weights: {path} is not there"
        ) from None
    except Exception as error:
        raise BackboneError(
            f"{path}: no readable weights ({_reason(error)}); save model.state_dict() with "
            "safetensors or torch.save"
        ) from None
    wrong = next((name for name, each in tensors.items() if not _is_finite(each)), None)
    if wrong is not None:
        raise BackboneError(f"{path}: NaN or infinity in {wrong}; train the model anew")
    return tensors


def _fill(model: Recommender, tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        # Assigned, not copied: a table of gigabytes is there once, in its file.
        model.load_state_dict(dict(tensors), assign=True)
    except RuntimeError as error:
        raise BackboneError(
            f"{path}: not the weights of {type(model).__name__} ({_reason(error)})"
        ) from None


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        loaded: dict[str, Tensor] = load_file(path)
        return loaded
    found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    found = next((found[name] for name in _NESTED if isinstance(found.get(name), dict)), found)
    if not all(isinstance(each, Tensor) for each in found.values()):
        raise ValueError("it holds something else than tensors")
    return dict(found)


def _is_finite(tensor: Tensor) -> bool:
    """In parts: what says so of each value of a large table is as long as the table."""
    if not tensor.is_floating_point():
        return True
    return all(bool(part.isfinite().all()) for part in tensor.flatten().split(1 << 22))


def _code_files(
    config: Config, settings: RecommenderSettings, module: ModuleType
) -> dict[str, Path]:
    package = sys.modules[module.__name__.partition(".")[0]]
    found: dict[str, Path] = {}
    if package.__file__ is not None and not hasattr(package, "__path__"):
        found[Path(package.__file__).name] = Path(package.__file__)
    for place in getattr(package, "__path__", []):
        found |= _python_files(package.__name__, Path(place))
    for name in settings.code:
        path = (config.root / name).resolve()
        if not path.exists():
            raise ConfigError(f"{config.source_file}: recommender.code: {path} is not there")
        found |= _python_files(name, path) if path.is_dir() else {name: path}
    return found


def _python_files(name: str, folder: Path) -> dict[str, Path]:
    return {f"{name}/{path.relative_to(folder)}": path for path in folder.rglob("*.py")}


def _code_hash(config: Config, settings: RecommenderSettings, module: ModuleType) -> str:
    files = _code_files(config, settings, module)
    return code_hash({name: sha256_of(path) for name, path in files.items()})


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return f"{type(error).__name__}: {said}"[:300]
