"""Starts: what a decision's training may begin from, the champion or an adapter of all domains."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from driftune.adaptation.pooled import NAME, Pooled, pooled_start
from driftune.adaptation.workbench import Workbench
from driftune.config.adapter import Adapter as AdapterSettings
from driftune.errors import LedgerError
from driftune.models.adapters import AdaptedModel, Adapter, Examples, IAKConfig
from driftune.registry.ledger import BASE

# Rows that show a new kernel how wide its place is.
PROBE_ROWS = 64
# Of a kernel that replaces the representation: it has to give it back before it may change it.
WARM_EPOCHS = 3
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Start:
    """An adapter to train from, and the version that it is; 0: none.

    ``pooled``: the hash of the files of one of all domains.
    """

    adapter: Adapter
    version: int
    pooled: str | None = None

    @property
    def at(self) -> tuple[str, ...]:
        """The places of its kernels."""
        return self.adapter.places


def starts_of(
    bench: Workbench, adapted: AdaptedModel, examples: Examples, pooled: Sequence[Pooled]
) -> list[Start]:
    """What the decision's training may start from; the first wins where others do no better.

    At each choice of places it is the domain's champion, where that has the configured shape and
    sits there, else a new adapter; and the ``pooled`` ones, alone or beside it, as
    ``adapter.start`` says.
    """
    found = []
    if not pooled or bench.config.adapter.start != "pooled":
        found += [_champion(bench, adapted, at, examples) for at in _choices(bench, adapted)]
        # The champion before new adapters at other places.
        found.sort(key=lambda start: start.version == BASE)
    return found + [Start(each.adapter, BASE, each.sha256) for each in pooled]


def pooled_of(
    benches: Sequence[Workbench],
    adapted: AdaptedModel,
    progress: Mapping[str, Progress],
    workers: int,
) -> dict[str, list[Pooled]]:
    """The pooled starts of each decision's day, by day, one at each choice of places.

    Empty where none are wanted.

    Raises:
        LakeError, DeviceMemoryError: as ``pooled_start``.
    """
    found: dict[str, list[Pooled]] = {}
    config = benches[0].config
    if config.adapter.start == "champion":
        return found
    wanted, alive = wanted_kernel(config.adapter), partial(_alive, benches, progress)
    for bench in benches:
        day = bench.decision.day
        if day in found:
            continue
        found[day] = []
        for at in _choices(bench, adapted):
            make = partial(_new, adapted, NAME, wanted, config.seed, at)
            made = pooled_start(bench, adapted, at, make, workers, alive)
            found[day] += [] if made is None else [made]
    return found


def _choices(bench: Workbench, adapted: AdaptedModel) -> list[tuple[str, ...]]:
    """The choices of places."""
    sets = bench.config.adapter.places
    return [adapted.at] if sets is None else [tuple(each) for each in sets]


def _alive(benches: Sequence[Workbench], progress: Mapping[str, Progress]) -> None:
    """Keep all claims while all train together."""
    for each in (bench.decision_id for bench in benches):
        if each in progress:
            try:
                progress[each]("training the pooled start", 0, 1)
            except LedgerError:
                # A lost claim ends its own training, which meets this again, and no other.
                continue


def _champion(
    bench: Workbench, adapted: AdaptedModel, at: tuple[str, ...], examples: Examples
) -> Start:
    key, wanted = bench.decision.domain_key, wanted_kernel(bench.config.adapter)
    champion, bank = bench.champion()
    if champion.serves != BASE:
        held = bank.adapter(key)
        if held.is_of(wanted, at):
            return Start(held, champion.serves)
    return Start(_new(adapted, key, wanted, bench.seed, at, examples), BASE)


def _new(
    adapted: AdaptedModel,
    name: str,
    wanted: IAKConfig,
    seed: int,
    at: tuple[str, ...],
    examples: Examples,
) -> Adapter:
    """A new adapter at these places; a few rows show how wide they are."""
    adapted.add(name, wanted, seed)
    adapted.build(*(each[:PROBE_ROWS] for each in examples.inputs))
    new = adapted.adapter(name)
    adapted.unload(name)
    kernels = dict(new.items())
    return new if at == new.places else Adapter({place: kernels[place] for place in at})


def wanted_kernel(settings: AdapterSettings) -> IAKConfig:
    """The shape of a kernel that the configuration asks for."""
    return IAKConfig(
        bottleneck=settings.bottleneck,
        hidden=settings.hidden,
        combine=settings.combine,
        warm_epochs=WARM_EPOCHS if settings.combine == "replace" else 0,
    )
