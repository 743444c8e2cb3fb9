"""A world whose domains have figures that are not defined, one kind each, beside two sound ones."""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import torch

from driftune.domains import domain_key
from driftune.features.encoder import Encoder
from driftune.lake.duck import connect, parquet
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.models.backbone import save_backbone, trained_until
from driftune.models.esmm import ESMM
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import backbone_folder, load_model, pretrain
from tests.checkpoint import judged_plainly
from tests.conftest import World, impressions
from tests.crowning import bring

STEADY, SHIFTED = "steady · all", "shifted · all"
BROKEN = (
    "no click",
    "only clicks",
    "one row",
    "one user",
    "huge prices",
    "prices below zero",
    "free",
    "no label",
    "no conversion",
    "some not numbers",
    "certain",
    "equal scores",
)
DOMAINS = (STEADY, SHIFTED, *(f"{name} · all" for name in BROKEN))
ROWS = 500
HUGE = 1.7e308
# A category that one domain alone has; on its rows the frozen model gives NaN.
FATAL = "durian"
# Else such domains are kept out of the lake, and nothing comes to drift, gate and guard.
LENIENT = {
    "domain": {"min_rows": 10**6},
    "severity": {"domain_click_rate_absurd": "warning"},
}


def make(folder: Path) -> None:
    """The world, its backbone broken for three domains, and the first day after the reference."""
    world = World(folder, quality=LENIENT)
    for number in range(3):
        world.write(world.day(number), sound(world.day(number)))
    with judged_plainly():
        with Ledger(world.config) as ledger:
            pretrain(world.config, ledger)
        break_backbone(world)
        bring(world, world.day(3), broken(world.day(3)))


def sound(day: date) -> pd.DataFrame:
    """A day on which all domains are alike but for the category of one."""
    parts = [
        impressions(day, ROWS, seed=seed).assign(scene=domain.removesuffix(" · all"), region="all")
        for seed, domain in enumerate(DOMAINS, start=1)
    ]
    frame = pd.concat(parts).sort_values("event_time", ignore_index=True)
    frame["request_id"] = frame["scene"] + frame["request_id"]
    fatal = (frame["scene"] == "some not numbers") & (frame["category"] == "coffee")
    frame.loc[fatal, "category"] = FATAL
    return frame


def broken(day: date, *, fatal: str | None = None) -> pd.DataFrame:
    """A day on which each domain has what it is named after.

    ``fatal``: a scene whose rows have the category that the frozen model gives NaN for, too.
    """
    frame = sound(day)
    scene = frame["scene"]
    coffee = (frame["category"] == "coffee").astype("int8")
    frame.loc[scene == "shifted", "click"] = coffee[scene == "shifted"]
    frame.loc[scene.isin(["shifted", "no click", "no conversion"]), "ordered"] = 0
    frame.loc[scene == "no click", "click"] = 0
    frame.loc[scene == "only clicks", "click"] = 1
    frame.loc[scene == "one user", "user_id"] = "u1"
    frame.loc[scene == "huge prices", "price"] = HUGE
    frame.loc[scene == "prices below zero", "price"] *= -1
    frame.loc[scene == "free", "price"] = 0.0
    frame["click"] = frame["click"].astype("float")
    frame.loc[scene == "no label", "click"] = float("nan")
    if fatal is not None:
        frame.loc[scene == fatal, "category"] = FATAL
    return frame.drop(frame.index[scene == "one row"][1:])


def break_backbone(world: World) -> None:
    """Give the backbone finite weights under which it overflows or is constant for some rows.

    Of the embeddings two columns are taken: one of huge values, which end as infinity in the first
    hidden layer, and one that switches all hidden units off.
    """
    encoder, model, _ = load_model(world.config)
    assert isinstance(model, ESMM)
    domain, category = (encoder.fields.index(field) for field in ("domain", "category"))
    width = model.representation.table.embedding_dim
    with torch.no_grad():
        for field in (domain, category):
            model.field_vectors(field)[:, :2] = 0
        _vector(model, encoder, "category", FATAL)[0] = 3e38
        _vector(model, encoder, "domain", domain_key("certain · all"))[0] = 3e38
        _vector(model, encoder, "domain", domain_key("equal scores · all"))[1] = -1e6
        for tower in (model.click_tower, model.convert_tower):
            first, last = tower[0].weight, tower[2].weight
            for field in (domain, category):
                first[:, [width * field, width * field + 1]] = 0
            first[:, width * domain + 1] = 1
            # Infinity less infinity is NaN; one infinity alone is a click for sure.
            first[:2, width * category] = 10
            first[2, width * domain] = 10
            last[0, :3] = torch.tensor([0.2, -0.2, 0.2])
    folder = backbone_folder(world.config)
    save_backbone(folder, model, encoder.fingerprint, {"": trained_until(folder).otherwise})


def _vector(model: ESMM, encoder: Encoder, field: str, value: str) -> torch.Tensor:
    """The embedding of a value of a field."""
    with connect(reach=[encoder.vocabulary]) as con:
        query = f"SELECT id FROM {parquet(encoder.vocabulary)} WHERE field = ? AND value = ?"
        ((number,),) = con.execute(query, [field, value]).fetchall()
    return model.field_vectors(encoder.fields.index(field))[number]


def adapter(*, overflows: bool = False) -> Adapter:
    """An untrained adapter of the click tower; one that ``overflows`` gives NaN throughout."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(4)
        made = Adapter({"click_tower.1": IAKKernel(16, IAKConfig(4, 8, "replace"))}).eval()
        for weights in made.parameters():
            weights.mul_(1e30 if overflows else 1.0)
    return made


_NO_FIGURE = re.compile(r"(?<![\w·-])(?:nan|NaN|[+-]?inf|Infinity)(?![\w·-])")


def shown_wrong(world: World) -> Iterator[str]:
    """What the world's pages and JSON show that is no figure and no valid JSON."""
    home = world.config.home
    for path in home.rglob("*.json"):
        if "_delta_log" not in path.parts:
            yield from _not_json(path, path.read_text(encoding="utf-8"))
    for path in (home / "reports").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        if "drift" in path.relative_to(home / "reports").parts[:1]:
            continue
        for block in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S):
            yield from _not_json(path, block)
        plain = re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", text, flags=re.S)
        for found in _NO_FIGURE.finditer(plain):
            yield f"{path}: {plain[max(0, found.start() - 40) : found.end() + 20]}"


def _not_json(path: Path, text: str) -> Iterator[str]:
    def refused(word: str) -> None:
        raise ValueError(word)

    try:
        json.loads(text, parse_constant=refused)
    except ValueError as error:
        yield f"{path}: {error}"
