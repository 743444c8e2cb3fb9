"""Parts of a bundle: folders named by the hash of what is in them, written once.

The same files have the same name, so that a bundle that is written again keeps what did not
change, and one that is being written never touches what another manifest names.
"""

import hashlib
import re
import shutil
import uuid
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from driftune.checksums import sha256_of
from driftune.errors import BundleError
from driftune.io import JsonObject

FOLDER = "parts"
_UNFINISHED = ".unfinished-"
_OURS = re.compile(rf"[0-9a-f]{{64}}|{re.escape(_UNFINISHED)}.+")


@dataclass(frozen=True)
class Part:
    """A folder in a bundle: ``files`` are the hashes (SHA-256, hex) of its files by their paths."""

    files: Mapping[str, str]

    @property
    def name(self) -> str:
        """The folder's name, which two parts share only if they are the same."""
        listed = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(self.files.items()))
        return hashlib.sha256(listed.encode()).hexdigest()

    def folder(self, bundle: Path) -> Path:
        """Where it lies in a bundle."""
        return bundle / FOLDER / self.name

    def damage(self, bundle: Path) -> str | None:
        """What is wrong with its files: the first that is missing or holds other bytes."""
        for name, sha256 in self.files.items():
            path = self.folder(bundle) / name
            try:
                if sha256_of(path) != sha256:
                    return f"{path}: damaged (hash differs)"
            except OSError:
                return f"{path}: is not there"
        return None

    def contents(self, bundle: Path) -> dict[str, bytes]:
        """What its files hold, by their paths in it: the bytes that were hashed.

        Raises:
            BundleError: when one is missing or holds other bytes.
        """
        found = {}
        for name, sha256 in self.files.items():
            path = self.folder(bundle) / name
            try:
                found[name] = path.read_bytes()
            except OSError:
                raise BundleError(f"{path}: is not there; export the bundle again") from None
            if _hash(found[name]) != sha256:
                raise BundleError(f"{path}: damaged (hash differs); export the bundle again")
        return found

    def as_json(self) -> JsonObject:
        """As the manifest has it."""
        return dict(self.files)


def part_of(files: Mapping[str, Path | bytes]) -> Part:
    """The part that these files make, given as paths or contents by their paths in it."""
    return Part({name: _hash(given) for name, given in sorted(files.items())})


def put(bundle: Path, files: Mapping[str, Path | bytes]) -> Part:
    """Write a part, unless the bundle has it whole already; it appears whole or not at all."""
    part = part_of(files)
    target = part.folder(bundle)
    if target.exists() and part.damage(bundle) is None:
        return part
    unfinished = target.with_name(f"{_UNFINISHED}{uuid.uuid4().hex[:8]}")
    try:
        for name, given in files.items():
            path = unfinished / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(given, bytes):
                path.write_bytes(given)
            else:
                shutil.copyfile(given, path)
        if target.exists():
            shutil.rmtree(target)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    if problem := part.damage(bundle):
        raise BundleError(f"{problem} just after it was written; is something else writing there?")
    return part


def drop_others(bundle: Path, kept: Collection[Part]) -> None:
    """Remove the parts that are not among these, and what killed exports have left.

    What no export has written stays.
    """
    names = {part.name for part in kept}
    with suppress(FileNotFoundError):
        for folder in (bundle / FOLDER).iterdir():
            if folder.name not in names and is_part(folder):
                shutil.rmtree(folder, ignore_errors=True)


def is_part(path: Path) -> bool:
    """Whether an export may have written it: by its name, finished or not."""
    return _OURS.fullmatch(path.name) is not None and path.is_dir() and not path.is_symlink()


def _hash(given: Path | bytes) -> str:
    return hashlib.sha256(given).hexdigest() if isinstance(given, bytes) else sha256_of(given)
