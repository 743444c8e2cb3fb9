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

    ``pooled``: whether it is one of all domains.
    """

    adapter: Adapter
    version: int
    pooled: bool = False


def starts_of(
    bench: Workbench, adapted: AdaptedModel, examples: Examples, pooled: Pooled | None
) -> list[Start]:
    """What the decision's training may start from; the first wins where others do no better.

    It is the domain's champion, where that has the configured shape, else a new adapter; and the
    ``pooled`` one, alone or beside it, as ``adapter.start`` says.
    """
    kind = bench.config.adapter.start
    found = []
    if pooled is None or kind != "pooled":
        found.append(_champion(bench, adapted, examples))
    if pooled is not None:
        found.append(Start(pooled.adapter, BASE, pooled=True))
    return found


def pooled_of(
    benches: Sequence[Workbench],
    adapted: AdaptedModel,
    progress: Mapping[str, Progress],
    workers: int,
) -> dict[str, Pooled | None]:
    """The pooled start of each decision's day, by day; empty where none is wanted.

    Raises:
        LakeError, DeviceMemoryError: as ``pooled_start``.
    """
    found: dict[str, Pooled | None] = {}
    if benches[0].config.adapter.start == "champion":
        return found
    config = benches[0].config
    make = partial(_new, adapted, NAME, wanted_kernel(config.adapter), config.seed)
    alive = partial(_alive, [bench.decision_id for bench in benches], progress)
    for bench in benches:
        day = bench.decision.day
        if day not in found:
            make = partial(
                _new, adapted, NAME, wanted_kernel(bench.config.adapter), bench.config.seed
            )
            found[day] = pooled_start(bench, adapted, make, workers, alive)
    return found


def _alive(decision_ids: Sequence[str], progress: Mapping[str, Progress]) -> None:
    """Keep all claims while all train together."""
    for each in decision_ids:
        if each in progress:
            try:
                progress[each]("training the pooled start", 0, 1)
            except LedgerError:
                # A lost claim ends its own training, which meets this again, and no other.
                continue


def _champion(bench: Workbench, adapted: AdaptedModel, examples: Examples) -> Start:
    key, wanted = bench.decision.domain_key, wanted_kernel(bench.config.adapter)
    champion, bank = bench.champion()
    if champion.serves != BASE:
        held = bank.adapter(key)
        if held.is_of(wanted, adapted.at):
            return Start(held, champion.serves)
    return Start(_new(adapted, key, wanted, bench.seed, examples), BASE)


def _new(
    adapted: AdaptedModel, name: str, wanted: IAKConfig, seed: int, examples: Examples
) -> Adapter:
    """A new adapter, for which a few rows show how wide its places are."""
    adapted.add(name, wanted, seed)
    adapted.build(*(each[:PROBE_ROWS] for each in examples.inputs))
    new = adapted.adapter(name)
    adapted.unload(name)
    return new


def wanted_kernel(settings: AdapterSettings) -> IAKConfig:
    """The shape of a kernel that the configuration asks for."""
    return IAKConfig(
        bottleneck=settings.bottleneck,
        hidden=settings.hidden,
        combine=settings.combine,
        warm_epochs=WARM_EPOCHS if settings.combine == "replace" else 0,
    )
