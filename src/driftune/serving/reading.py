"""What a manifest names, read from its files: the bytes that are hashed are those that are used."""

from collections.abc import Mapping
from pathlib import Path

from driftune.errors import BundleError
from driftune.serving.card import Card
from driftune.serving.lookup import Counts, Field, read_counts, read_field
from driftune.serving.manifest import Manifest
from driftune.serving.own import CODE, HISTORY, MODEL, Pasts, read_pasts
from driftune.serving.tables import SideTable, read_table

_READ = ("encoder", "fields", "counters", MODEL, CODE, HISTORY)


class Reading:
    """The parts of a bundle that a manifest names, beside those that a former one named."""

    def __init__(self, bundle: Path, manifest: Manifest, before: Manifest | None) -> None:
        self.bundle, self.manifest = bundle, manifest
        self._had = {} if before is None else before.parts

    def same(self, *names: str) -> bool:
        """Whether the former manifest named the very same parts."""
        now, had = self.manifest.parts, self._had
        return all(
            name in now and name in had and now[name].name == had[name].name for name in names
        )

    def files(self, name: str) -> dict[str, bytes]:
        """What a part's files hold, by their paths in it.

        Raises:
            BundleError: when the manifest names no such part, or one of its files is damaged.
        """
        return self.manifest.part(name).contents(self.bundle)

    def check_others(self) -> None:
        """See that the parts are whole which are not read by ``files``: those of adapters.

        Raises:
            BundleError: naming the first file that is not.
        """
        for name, part in self.manifest.parts.items():
            if name in _READ or name in map(table_part, self.manifest.tables) or self.same(name):
                continue
            if problem := part.damage(self.bundle):
                raise BundleError(f"{problem}; export the bundle again")

    def fields(self, card: Card) -> dict[str, Field]:
        """The texts of each field."""
        files = self.files("fields")
        return {
            name: read_field(files[f"{number}.arrow"], card.buckets)
            for number, name in enumerate(card.fields)
        }

    def counts(self, fields: Mapping[str, Field]) -> tuple[Counts, ...]:
        """The counters."""
        if not self.manifest.counters:
            return ()
        files = self.files("counters")
        found = []
        for number, counter in enumerate(self.manifest.counters):
            sizes = tuple(len(fields[name].ids) for name in counter.key)
            found.append(read_counts(files[f"{number}.arrow"], counter, sizes))
        return tuple(found)

    def table(self, name: str) -> SideTable:
        """A side table."""
        return read_table(self.files(table_part(name))["rows.arrow"], self.manifest.tables[name])

    def pasts(self) -> Pasts | None:
        """The users' pasts; None where the model reads none."""
        own = self.manifest.own
        if own is None or not own.history:
            return None
        return read_pasts(self.files(HISTORY)["pasts.arrow"], own)


def table_part(name: str) -> str:
    """What the manifest calls the part of a side table."""
    return f"table {name}"
