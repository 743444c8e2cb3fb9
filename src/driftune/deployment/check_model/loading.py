"""Whether the model can be loaded, what its fingerprint covers, and the memory that it takes."""

from collections.abc import Iterator

from driftune.config import Config
from driftune.config.recommender import RecommenderSettings
from driftune.config.workspace import shown_path
from driftune.deployment.check_model.memory import Peak, peak_memory, shown
from driftune.deployment.check_model.subject import Finding
from driftune.deployment.check_model.watching import size
from driftune.features.encoder import Encoder
from driftune.models.backbone import backbone_mark, load_backbone
from driftune.models.imports import imported
from driftune.models.own import Origin, code_files, load_own, weights_file
from driftune.models.recommender import Recommender
from driftune.training.pretrain import backbone_folder

# Of smaller files a second copy does no harm.
MEASURED = 1 << 28
MOST = 1.3
# What libraries that are imported meanwhile take.
_LIBRARIES = 1 << 27
_NAMED = 5


def load(config: Config, encoder: Encoder) -> tuple[Recommender, list[Finding]]:
    """The configured model on the CPU, and what is to be said of its files.

    Raises:
        DriftuneError: when it cannot be loaded.
    """
    own = config.recommender
    if own is None:
        model, mark = load_backbone(backbone_folder(config), encoder.fingerprint)
        return model, [Finding(f"model: the built-in one, {mark[:12]}, {_size(model)}")]
    with peak_memory() as peak:
        model, origin = load_own(config, own, encoder)
    said = f"model: {own.factory} gives a {type(model).__name__}, {_size(model)}, that "
    findings = [Finding(f"{said}{own.weights} fits; all weights are finite")]
    findings += [*_taken_up(config, own, origin), *_code(config, own), *_copied(config, own, peak)]
    return model, findings


def _size(model: Recommender) -> str:
    values = sum(each.numel() for each in model.parameters())
    return f"{values:,} parameters, {shown(size(model))} in memory"


def _taken_up(config: Config, own: RecommenderSettings, origin: Origin) -> Iterator[Finding]:
    before = backbone_mark(backbone_folder(config))
    if before is not None and before != origin.mark(own):
        yield Finding(
            f"model: not the one that was taken up ({before[:12]}), which the adapters are for",
            "warn",
            "driftune pretrain takes this one up, and all domains begin with it anew",
        )


def _code(config: Config, own: RecommenderSettings) -> Iterator[Finding]:
    """What a change of would make another model of it."""
    files = code_files(config, own)
    names = sorted(files)
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" * (len(names) > 5))
    yield Finding(f"code: the fingerprint covers {listed}, {own.weights}, factory and options")
    try:
        others = imported(config.root.resolve(), list(files.values()))
    except SyntaxError as error:
        yield Finding(f"code: {error.filename or listed} is no Python that can be read", "warn")
        return
    if others:
        missing = ", ".join(shown_path(config, path) for path in others)
        yield Finding(
            f"code: imports {missing}, which the fingerprint does not cover, so that a change of "
            "it would go unseen",
            "warn",
            f"recommender.code: [{missing}]",
        )


def _copied(config: Config, own: RecommenderSettings, peak: Peak) -> Iterator[Finding]:
    """Whether loading a large file took much more memory than the file is long."""
    length = weights_file(config, own).stat().st_size
    if length < MEASURED or peak.size is None:
        return
    said = f"memory: loading {own.weights} ({shown(length)}) took {shown(peak.size)} at most"
    if peak.size <= MOST * length + _LIBRARIES:
        yield Finding(said)
        return
    yield Finding(
        f"{said}, more than {MOST} times its size",
        "warn",
        "the factory keeps values of its own or converts the weights: save them as the model uses "
        "them, and let it make its tables with torch.empty",
    )
