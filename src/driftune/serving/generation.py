"""One state of a bundle, opened: model, adapters and look-ups that belong together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from driftune.errors import BundleError
from driftune.io import read_json
from driftune.models.adapters import (
    AdaptedModel,
    Adapter,
    AdapterFileError,
    SealedBank,
    Templates,
    attach,
    load_adapter,
)
from driftune.models.esmm import ESMM
from driftune.models.recommender import Recommender
from driftune.serving.card import Card, read_card
from driftune.serving.encode import Encoded, encode
from driftune.serving.expressions import Expressions
from driftune.serving.lookup import Counts, Field, read_counts, read_field
from driftune.serving.manifest import Manifest, read_manifest
from driftune.serving.own import (
    CODE,
    HISTORY,
    MODEL,
    SHAPE,
    TENSORS,
    Pasts,
    own_model,
    own_table,
    own_tensors,
    read_pasts,
)
from driftune.serving.rows import Given, read_rows
from driftune.serving.tables import SideTable, read_table

_TRIES = 5


@dataclass(frozen=True)
class Generation:
    """What one manifest names, in memory: nothing of it changes, and it needs no file any more.

    ``adapted`` is None where no domain has an adapter. ``tensors`` are the model's weights, and
    ``adapters`` those of its parts, which the next generation may share.
    """

    manifest: Manifest
    card: Card
    fields: Mapping[str, Field]
    counts: tuple[Counts, ...]
    model: Recommender
    adapted: AdaptedModel | None
    tensors: Mapping[str, Tensor]
    adapters: Mapping[str, Adapter]
    zone: ZoneInfo
    pasts: Pasts | None = None
    expressions: Expressions | None = None
    tables: tuple[SideTable, ...] = ()

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


def open_generation(bundle: Path, before: Generation | None = None) -> Generation:
    """Open what a bundle's manifest names now; every part is checked by its hash.

    An export may take away what a manifest named while it is read here: then there is a newer one.

    Raises:
        BundleError: in one line, when it is missing, damaged or another release's.
    """
    for _ in range(_TRIES):
        manifest = read_manifest(bundle)
        try:
            return _opened(bundle, manifest, before)
        except BundleError:
            if read_manifest(bundle).bundle == manifest.bundle:
                raise
    raise BundleError(f"{bundle}: its manifest changes faster than it can be read")


def _opened(bundle: Path, manifest: Manifest, before: Generation | None) -> Generation:
    had = before.manifest.parts if before else {}
    for name, part in manifest.parts.items():
        same = name in had and had[name].name == part.name
        problem = None if same else part.damage(bundle)
        if problem:
            raise BundleError(f"{problem}; export the bundle again")

    def kept(*names: str) -> bool:
        now = manifest.parts
        return all(
            name in had and name in now and had[name].name == now[name].name for name in names
        )

    try:
        tensors = before.tensors if before and kept("model") else _tensors(bundle, manifest)
        folder = manifest.part("encoder").folder(bundle)
        counted = [number for each in manifest.counters for number in each.numbers]
        card = (
            before.card
            if before and kept("encoder") and before.manifest.counters == manifest.counters
            else read_card(folder / "encoder.json", counted)
        )
        fields = before.fields if before and kept("fields") else _fields(bundle, manifest, card)
        same_counts = (
            before is not None
            and kept("fields", "counters")
            and before.manifest.counters == manifest.counters
        )
        counts = before.counts if before and same_counts else _counts(bundle, manifest, fields)
        model = _model(bundle, manifest, tensors)
        adapters = _adapters(bundle, manifest, before.adapters if before else {})
        return Generation(
            manifest,
            card,
            fields,
            counts,
            model,
            _attached(manifest, model, adapters),
            tensors,
            adapters,
            ZoneInfo(manifest.timezone),
            _pasts(bundle, manifest, before if before and kept(HISTORY) else None),
            _expressions(manifest),
            _tables(bundle, manifest),
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{bundle}: damaged ({reason}); export the bundle again") from None


def _tensors(bundle: Path, manifest: Manifest) -> dict[str, Tensor]:
    if manifest.own is not None:
        return own_tensors(manifest.part(MODEL).folder(bundle))
    path = manifest.part(MODEL).folder(bundle) / TENSORS
    found: dict[str, Tensor] = load(path.read_bytes())
    return found


def _model(bundle: Path, manifest: Manifest, tensors: Mapping[str, Tensor]) -> Recommender:
    """A module of its own for each generation, as hooks belong to it; the weights are shared."""
    if manifest.own is not None:
        code = manifest.part(CODE).folder(bundle)
        return _frozen(own_model(manifest.part(MODEL).folder(bundle), code, tensors))
    shape = read_json(manifest.part(MODEL).folder(bundle) / SHAPE)
    # On the meta device this would be without memory, and import for seconds.
    with torch.random.fork_rng(devices=[]):
        model = ESMM(**shape)
    model.load_state_dict(dict(tensors), assign=True)
    return _frozen(model)


def _frozen(model: Recommender) -> Recommender:
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def _fields(bundle: Path, manifest: Manifest, card: Card) -> dict[str, Field]:
    folder = manifest.part("fields").folder(bundle)
    return {
        name: read_field(folder / f"{number}.arrow", card.buckets)
        for number, name in enumerate(card.fields)
    }


def _counts(bundle: Path, manifest: Manifest, fields: Mapping[str, Field]) -> tuple[Counts, ...]:
    if not manifest.counters:
        return ()
    folder = manifest.part("counters").folder(bundle)
    found = []
    for number, counter in enumerate(manifest.counters):
        sizes = tuple(len(fields[name].ids) for name in counter.key)
        found.append(read_counts(folder / f"{number}.arrow", counter, sizes))
    return tuple(found)


def _expressions(manifest: Manifest) -> Expressions | None:
    if not manifest.roles.expressions:
        return None
    return Expressions(manifest.roles, manifest.timezone, text=manifest.text)


def _tables(bundle: Path, manifest: Manifest) -> tuple[SideTable, ...]:
    return tuple(
        read_table(manifest.part(f"table {name}").folder(bundle) / "rows.arrow", key)
        for name, key in manifest.tables.items()
    )


def _pasts(bundle: Path, manifest: Manifest, before: Generation | None) -> Pasts | None:
    if manifest.own is None or not manifest.own.history:
        return None
    if before is not None and before.manifest.own == manifest.own:
        return before.pasts
    return read_pasts(manifest.part(HISTORY).folder(bundle) / "pasts.arrow", manifest.own)


def _adapters(
    bundle: Path, manifest: Manifest, loaded: Mapping[str, Adapter]
) -> dict[str, Adapter]:
    """The adapters by the names of their parts' folders."""
    found, templates = {}, Templates()
    for key, domain in manifest.domains.items():
        if domain.part is None:
            continue
        part = manifest.part(domain.part)
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
    manifest: Manifest, model: Recommender, adapters: Mapping[str, Adapter]
) -> AdaptedModel | None:
    held = {
        key: adapters[manifest.part(domain.part).name]
        for key, domain in manifest.domains.items()
        if domain.part is not None
    }
    bank = SealedBank(held)
    return attach(model, bank, list(bank.widths)) if bank.widths else None
