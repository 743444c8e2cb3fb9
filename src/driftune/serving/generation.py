"""One state of a bundle, opened: model, adapters and look-ups that belong together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
from safetensors import SafetensorError
from torch import Tensor

from driftune.errors import BundleError
from driftune.models.adapters import (
    AdaptedModel,
    Adapter,
    AdapterFileError,
    SealedBank,
    Templates,
    attach,
    load_adapter,
)
from driftune.models.recommender import Recommender
from driftune.serving.card import Card, read_card
from driftune.serving.encode import Encoded, encode
from driftune.serving.expressions import Expressions
from driftune.serving.lookup import Counts, Field
from driftune.serving.manifest import Challenger, Domain, Manifest, read_manifest
from driftune.serving.model import copied, make_model, read_tensors
from driftune.serving.own import CODE, HISTORY, MODEL, Pasts, own_table
from driftune.serving.reading import Reading, table_part
from driftune.serving.roles import Roles
from driftune.serving.rows import Given, needed_columns, read_rows
from driftune.serving.tables import SideTable

_TRIES = 5


@dataclass(frozen=True)
class Generation:
    """What one manifest names, in memory: nothing of it changes, and it needs no file any more.

    ``adapted`` is None where no domain has an adapter. The next generation may share ``pristine``,
    the model with nothing attached, ``tensors``, its weights, and ``adapters`` by their parts.
    ``challengers``: a model with those that wait, where ``shadow`` asks for them and some do.
    """

    manifest: Manifest
    card: Card
    fields: Mapping[str, Field]
    counts: tuple[Counts, ...]
    model: Recommender
    adapted: AdaptedModel | None
    pristine: Recommender
    tensors: Mapping[str, Tensor]
    adapters: Mapping[str, Adapter]
    zone: ZoneInfo
    pasts: Pasts | None = None
    expressions: Expressions | None = None
    tables: tuple[SideTable, ...] = ()
    shadow: bool = False
    challengers: AdaptedModel | None = None

    def with_columns(self, table: pa.Table) -> pa.Table:
        """The table; one without rows and columns, such as that of no dicts, with those needed."""
        if table.num_rows or table.num_columns:
            return table
        needed = [*needed_columns(self.manifest.roles), *(each.key for each in self.tables)]
        names = dict.fromkeys(role.column for role in needed if role.column is not None)
        return pa.table({name: pa.nulls(0) for name in names})

    def read(self, table: pa.Table) -> Given:
        """Rows as the lake would have them."""
        for each in self.tables:
            table = each.join(table)
        return read_rows(self.manifest, table, self.zone, self.expressions)

    def encode(self, given: Given) -> Encoded:
        """Rows as the model reads them."""
        own = self.manifest.own
        table = None if own is None else own_table(own, self.pasts, given, self.card.debias)
        return encode(self.card, self.fields, self.counts, given, table)


def open_generation(
    bundle: Path, before: Generation | None = None, *, shadow: bool = False
) -> Generation:
    """Open what a bundle's manifest names now; every part is checked by its hash.

    An export may take away what a manifest named while it is read here: then there is a newer one.
    ``shadow``: with the challengers, as also where the generation ``before`` has them.

    Raises:
        BundleError: in one line, when it is missing, damaged or another release's.
    """
    for _ in range(_TRIES):
        manifest = read_manifest(bundle)
        try:
            return opened(bundle, manifest, before, shadow=shadow)
        except BundleError:
            if read_manifest(bundle).bundle == manifest.bundle:
                raise
    raise BundleError(f"{bundle}: its manifest changes faster than it can be read")


def opened(
    bundle: Path,
    manifest: Manifest,
    before: Generation | None = None,
    *,
    shadow: bool = False,
) -> Generation:
    """The generation of a manifest whose parts a bundle has; it need not be written there yet.

    What is the same as before is handed on; all else is read from bytes that were hashed.

    Raises:
        BundleError: in one line, when a part is missing or damaged.
    """
    reading = Reading(bundle, manifest, None if before is None else before.manifest)
    try:
        reading.check_others()
        card = _card(reading, before)
        same_fields = reading.same("encoder", "fields")
        fields = before.fields if before and same_fields else reading.fields(card)
        counted = before is not None and before.manifest.counters == manifest.counters
        same_counts = (
            same_fields and counted and (not manifest.counters or reading.same("counters"))
        )
        counts = before.counts if before and same_counts else reading.counts(fields)
        tensors = before.tensors if before and reading.same(MODEL) else read_tensors(reading)
        pristine, model = _models(reading, before, tensors)
        loaded = before.adapters if before else {}
        serving = _parts_of(manifest.domains)
        adapters = _adapters(bundle, manifest, serving, loaded)
        shadow = shadow or (before is not None and before.shadow)
        challengers = None
        if shadow and (waiting := _parts_of(manifest.challengers or {})):
            held = _adapters(bundle, manifest, waiting, loaded)
            other = copied(pristine) or make_model(reading, tensors)
            challengers = _attached(manifest, other, waiting, held)
            adapters |= held
        return Generation(
            manifest,
            card,
            fields,
            counts,
            model,
            _attached(manifest, model, serving, adapters),
            pristine,
            tensors,
            adapters,
            ZoneInfo(manifest.timezone),
            _pasts(reading, before),
            _expressions(manifest, before),
            tuple(_table(reading, number, before) for number in range(len(manifest.tables))),
            shadow,
            challengers,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{bundle}: damaged ({reason}); export the bundle again") from None


def _card(reading: Reading, before: Generation | None) -> Card:
    counters = reading.manifest.counters
    if before is not None and reading.same("encoder") and before.manifest.counters == counters:
        return before.card
    counted = [number for counter in counters for number in counter.numbers]
    return read_card(reading.files("encoder")["encoder.json"], counted)


def _models(
    reading: Reading, before: Generation | None, tensors: Mapping[str, Tensor]
) -> tuple[Recommender, Recommender]:
    """The model with nothing attached, which is never called, and this generation's copy of it."""
    parts = (MODEL,) if reading.manifest.own is None else (MODEL, CODE)
    if before is not None and reading.same(*parts):
        pristine = before.pristine
    else:
        pristine = make_model(reading, tensors)
    return pristine, copied(pristine) or make_model(reading, tensors)


def _expressions(manifest: Manifest, before: Generation | None) -> Expressions | None:
    if not manifest.roles.expressions:
        return None

    def read(said: Manifest) -> tuple[Roles, str, bool]:
        return said.roles, said.timezone, said.text

    if before is not None and read(before.manifest) == read(manifest):
        return before.expressions
    return Expressions(manifest.roles, manifest.timezone, text=manifest.text)


def _table(reading: Reading, number: int, before: Generation | None) -> SideTable:
    name, key = [*reading.manifest.tables.items()][number]
    if before is not None and reading.same(table_part(name)):
        place = [*before.manifest.tables].index(name)
        if before.tables[place].key == key:
            return before.tables[place]
    return reading.table(name)


def _pasts(reading: Reading, before: Generation | None) -> Pasts | None:
    if before is not None and reading.same(HISTORY) and before.manifest.own == reading.manifest.own:
        return before.pasts
    return reading.pasts()


def _parts_of(held: Mapping[str, Domain] | Mapping[str, Challenger]) -> dict[str, str]:
    """The names of the parts of adapters, by the domains' keys."""
    return {key: each.part for key, each in held.items() if each.part is not None}


def _adapters(
    bundle: Path, manifest: Manifest, parts: Mapping[str, str], loaded: Mapping[str, Adapter]
) -> dict[str, Adapter]:
    """The adapters of these parts, by the names of their folders."""
    found, templates = {}, Templates()
    for key, name in parts.items():
        part = manifest.part(name)
        if part.name not in loaded:
            try:
                adapter, _ = load_adapter(
                    part.folder(bundle), backbone=manifest.backbone, templates=templates
                )
            except AdapterFileError as error:
                raise BundleError(f"{bundle}: the adapter of {key}: {error}") from None
            found[part.name] = adapter.requires_grad_(False)
        else:
            found[part.name] = loaded[part.name]
    return found


def _attached(
    manifest: Manifest,
    model: Recommender,
    parts: Mapping[str, str],
    adapters: Mapping[str, Adapter],
) -> AdaptedModel | None:
    held = {key: adapters[manifest.part(name).name] for key, name in parts.items()}
    bank = SealedBank(held)
    return attach(model, bank, list(bank.widths)) if bank.widths else None
