"""The code of a bundle, imported from bytes that were hashed."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, spec_from_file_location
from pathlib import Path
from types import ModuleType

from driftune.models.imports import IMPORTING

# What modules of a bundle have, so that the next one knows them.
_MARK = "__driftune_bundle__"


@contextmanager
def importing(folder: Path, files: Mapping[str, bytes]) -> Iterator[None]:
    """Modules of these files (contents by their paths in ``folder``) come before all others.

    Nothing else is imported from the folder, and nothing is written to it. Afterwards the
    process has its own modules of such names again; where it had none those of the bundle stay.
    One thread at a time.
    """
    finder = _Finder(folder, files)
    with IMPORTING:
        before = {name: each for name, each in sys.modules.items() if finder.has(name)}
        own = {name: each for name, each in before.items() if _MARK not in vars(each)}
        for name in before:
            del sys.modules[name]
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            _restore(finder, own)


def _restore(finder: "_Finder", own: Mapping[str, ModuleType]) -> None:
    packages = {name.partition(".")[0] for name in own}
    for name in [name for name in sys.modules if finder.has(name)]:
        if name.partition(".")[0] in packages:
            del sys.modules[name]
        else:
            setattr(sys.modules[name], _MARK, True)
    sys.modules.update(own)


class _Finder(MetaPathFinder, ExecutionLoader):
    """Finds and loads modules among files that are in memory."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._files = {str(folder / name): data for name, data in files.items()}
        self._packages = {name.partition("/")[0].removesuffix(".py") for name in files}

    def has(self, name: str) -> bool:
        """Whether a module of this name is one of the bundle's."""
        return name.partition(".")[0] in self._packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See ``MetaPathFinder``."""
        if not self.has(fullname):
            return None
        place = self._folder.joinpath(*fullname.split("."))
        plain, package = place.with_name(f"{place.name}.py"), place / "__init__.py"
        if str(package) in self._files:
            return spec_from_file_location(
                fullname, package, loader=self, submodule_search_locations=[str(place)]
            )
        if str(plain) in self._files:
            return spec_from_file_location(fullname, plain, loader=self)
        if any(name.startswith(f"{place}/") for name in self._files):
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(place)]
            return spec
        return None

    def get_filename(self, fullname: str) -> str:
        """See ``ExecutionLoader``."""
        spec = self.find_spec(fullname, None)
        if spec is None or spec.origin is None:
            raise ImportError(f"no code of {fullname} is in the bundle", name=fullname)
        return spec.origin

    def get_source(self, fullname: str) -> str:
        """See ``InspectLoader``."""
        return decode_source(self._files[self.get_filename(fullname)])

    def get_data(self, path: str) -> bytes:
        """See ``ResourceLoader``."""
        if path not in self._files:
            raise OSError(f"{path} is no file of the bundle")
        return self._files[path]
