"""Export to where others fetch it: an object store, by parts and the manifest last, or MLflow."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from driftune.errors import BundleError
from driftune.lake.scratch import scratch
from driftune.project import Project
from driftune.serving.export import Exported, export
from driftune.serving.manifest import NAME, Manifest, manifest_in, read_manifest
from driftune.serving.online import write_features
from driftune.serving.parts import FOLDER
from driftune.serving.places import Bucket, is_url
from driftune.serving.presence import FOLDER as REPORTS
from driftune.serving.registered import register_bundle


def export_to(
    project: Project,
    to: str | None,
    last: date | None = None,
    registered: str | None = None,
    formats: Sequence[str] = (),
    *,
    challengers: bool = False,
    features: Path | None = None,
) -> tuple[Exported, str | None]:
    """Write a bundle to a folder or to an address of an object store (``to``; None: to neither),
    and register it in MLflow as a version of the model ``registered``; returns that version, too.
    ``formats``: those of the programs that it has; ``challengers``: whether it has those that
    wait; ``features``: a folder for its counters, as feature stores read them.

    Raises:
        BundleError: when something else lies there, or the store does not take it.
        RegistryError: when MLflow does not take it; the bundle is written then.
        LakeError, BackboneError, LedgerError: as what it reads.
    """
    place = Bucket(to.rstrip("/")) if to is not None and is_url(to) else None
    if place is not None:
        _check(place)
    with ExitStack() as stack:
        if to is None or place is not None:
            bundle = stack.enter_context(scratch(project.config, "bundle")) / "bundle"
        else:
            bundle = Path(to)
        found = export(project, bundle, last, formats, challengers=challengers)
        if features is not None:
            write_features(bundle, features)
        if place is not None:
            found = found._replace(changed=publish(bundle, place))
        version = None if registered is None else register_bundle(project, bundle, registered)
    return found, version


def publish(bundle: Path, place: Bucket) -> bool:
    """Bring a bundle from a folder to an object store; whether that has another one now.

    A file that is there in the same size is not uploaded again: its folder is named by the hash of
    what must be in it. Parts that the manifest does not name are removed after it.

    Raises:
        BundleError: in one line, when the store does not take it.
    """
    manifest, before = read_manifest(bundle), _mark_of(place)
    files, there = _files(bundle, manifest), place.names()
    for name, path in files.items():
        if there.get(name) != path.stat().st_size:
            place.put(path, name)
    if before != manifest.bundle:
        place.write(NAME, (bundle / NAME).read_bytes())
    for name in place.names():
        if name.startswith(f"{FOLDER}/") and name not in files:
            place.drop(name)
    now = place.names()
    if lost := next((name for name in files if name not in now), None):
        raise BundleError(
            f"{place}/{lost}: gone just after it was written; does another export write there?"
        )
    return before != manifest.bundle


def _files(bundle: Path, manifest: Manifest) -> dict[str, Path]:
    """The files of a bundle's parts by their names in it."""
    return {
        f"{FOLDER}/{part.name}/{name}": part.folder(bundle) / name
        for part in manifest.parts.values()
        for name in part.files
    }


def _mark_of(place: Bucket) -> str | None:
    """The hash of the bundle that lies there; None where there is none that can be read."""
    if place.read(NAME) is None:
        return None
    try:
        return manifest_in(place).bundle
    except BundleError:
        return None


def _check(place: Bucket) -> None:
    """See that a bundle may be written there.

    Raises:
        BundleError: when something else lies there, or the store cannot be reached.
    """
    there = place.names()
    if NAME not in there:
        ours = (f"{FOLDER}/", f"{REPORTS}/")
        if others := [name for name in there if not name.startswith(ours)]:
            raise BundleError(
                f"{place}: holds {others[0]} and no bundle; name an empty place, or a bundle's"
            )
    elif not any(name.startswith(f"{FOLDER}/") for name in there):
        manifest_in(place)
