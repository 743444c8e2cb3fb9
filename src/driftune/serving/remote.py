"""Bundles in an object store, opened: their parts come to a folder on this machine, once each."""

import tempfile
from pathlib import Path

from driftune.errors import BundleError
from driftune.io import replacing
from driftune.serving.generation import Generation, open_generation
from driftune.serving.manifest import NAME, Manifest, parse_manifest
from driftune.serving.parts import FOLDER, drop_others, part_of, put
from driftune.serving.places import Bucket, below

_TRIES = 5


class Remote:
    """A bundle at an address, and the folder where what is read of it lies.

    The folder belongs to one process. It is a bundle itself at every moment; parts that the newest
    manifest does not name are removed from it.
    """

    def __init__(self, url: str, cache: Path | None) -> None:
        """A bundle at ``url``; ``cache``: the folder, by default one that ends with the process.

        Raises:
            BundleError: when the folder holds something else.
        """
        self.place = Bucket(url.rstrip("/"))
        self._own = tempfile.TemporaryDirectory(prefix="driftune-cache-") if cache is None else None
        self.folder = Path(self._own.name) if self._own is not None else Path(str(cache))
        self._tag: str | None = None
        _check(self.folder)

    def has_changed(self) -> bool:
        """Whether the manifest may be another than the one opened last: by its ETag.

        Raises:
            BundleError: in one line, when the store cannot be reached.
        """
        tag = self.place.tag(NAME)
        return tag is None or tag != self._tag

    def open(self, before: Generation | None = None, *, shadow: bool = False) -> Generation:
        """Open what the manifest names now, as ``open_generation`` does.

        An export may take away what a manifest names while it is read here: then there is a newer
        one.

        Raises:
            BundleError: in one line, when it is missing or damaged, the store cannot be reached, or
                the folder not be written.
        """
        for _ in range(_TRIES):
            # Asked first: a manifest that comes in between has another one, and is seen next time.
            tag = self.place.tag(NAME)
            try:
                manifest = self._bring()
                found = open_generation(self.folder, before, shadow=shadow)
            except OSError as error:
                said = f"{self.folder}: {error.strerror or error}"
                raise BundleError(f"{said}; {self.place} needs it to be written") from None
            except BundleError:
                if self.place.tag(NAME) == tag:
                    raise
                continue
            self._tag = tag
            drop_others(self.folder, [*manifest.parts.values()])
            return found
        raise BundleError(f"{self.place}: its manifest changes faster than it can be read")

    def _bring(self) -> Manifest:
        """Download the parts that the folder lacks, and the manifest last."""
        shown = below(str(self.place), NAME)
        data = self.place.read(NAME)
        if data is None:
            raise BundleError(
                f"{shown}: is not there; make the bundle: driftune export --to {self.place}"
            )
        manifest = parse_manifest(data, shown)
        for part in manifest.parts.values():
            if part.folder(self.folder).exists() and part.damage(self.folder) is None:
                continue
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".unfinished-") as unfinished:
                files = {name: Path(unfinished) / name for name in part.files}
                for name, path in files.items():
                    self.place.get(f"{FOLDER}/{part.name}/{name}", path)
                if part_of(files) != part:
                    where = below(str(self.place), f"{FOLDER}/{part.name}")
                    raise BundleError(
                        f"{where}: damaged (hash differs); remove it and export the bundle again"
                    )
                put(self.folder, files)
        with replacing(self.folder / NAME) as path:
            path.write_bytes(data)
        return manifest


def _check(folder: Path) -> None:
    """See that a folder is one that may hold a bundle's parts; it is made where it is not there.

    Raises:
        BundleError: when it holds something else, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [each.name for each in folder.iterdir() if each.name not in (FOLDER, NAME)]
    except OSError as error:
        raise BundleError(f"{folder}: {error.strerror or error}; name another cache") from None
    others = [name for name in others if not name.startswith(".unfinished-")]
    if others and not (folder / NAME).exists():
        raise BundleError(f"{folder}: holds {others[0]}; name an empty folder for the cache")
