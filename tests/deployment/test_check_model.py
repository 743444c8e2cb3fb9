"""``driftune check-model``: each fault of a model is a line of its own; a sound one passes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from driftune.config import Config
from driftune.deployment.check_model.examine import _findings
from driftune.deployment.check_model.inputs import check_inputs
from driftune.deployment.check_model.loading import _copied, load
from driftune.deployment.check_model.memory import Peak, peak_memory, shown
from driftune.deployment.check_model.outputs import check_outputs, check_predictions
from driftune.deployment.check_model.places import check_places, usable_places
from driftune.deployment.check_model.repeats import check_alone, check_mode, check_repeats
from driftune.deployment.check_model.speed import DOMAINS, measure, told
from driftune.deployment.check_model.subject import Finding, Subject
from driftune.deployment.check_model.trial import check_trial
from driftune.deployment.doctor import _backbone
from driftune.errors import DriftuneError
from driftune.features.encoder import Encoder, number_names
from driftune.models.adapters.outputs import Output
from driftune.models.imports import imported
from driftune.models.recommender import EncodedRows, Recommender
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import pretrain
from driftune.training.rows import Rows
from tests.conftest import Ended, World

COUNT, SIZES = 300, (6, 5)
Check = Callable[[Subject], Iterator[Finding]]


class Sound(Recommender):
    """A model as it should be: a table, a body, two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(SIZES[0], 8)
        self.body = nn.Sequential(nn.Linear(11, 16), nn.ReLU(), nn.Dropout(0.5))
        self.click, self.convert = nn.Linear(16, 1), nn.Linear(16, 1)
        nn.init.constant_(self.click.bias, -1.0)

    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        """See ``Recommender.inputs``."""
        return rows.ids[:, 0], rows.numbers

    def forward(self, item: Tensor, numbers: Tensor) -> Output:
        """Logits of pCTR and pCVR."""
        return self.heads(self.body(torch.cat([self.table(item), numbers], dim=1)))

    def heads(self, hidden: Tensor) -> Output:
        """The logits of the hidden layer."""
        return self.click(hidden).squeeze(1), self.convert(hidden).squeeze(1)


class Clicks(Sound):
    """One that predicts no conversions."""

    conversions = False

    def heads(self, hidden: Tensor) -> Output:
        return self.click(hidden).squeeze(1)


class NoTuple(Sound):
    def inputs(self, rows: EncodedRows) -> Tensor:
        return rows.numbers


class FixedRows(Sound):
    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        return rows.ids[:50, 0], rows.numbers


class CentredInputs(Sound):
    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        middle = rows.numbers.mean(dim=0) if len(rows.numbers) else 0
        return rows.ids[:, 0], rows.numbers - middle


class DrawnInputs(Sound):
    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        return rows.ids[:, 0], rows.numbers + torch.rand(rows.numbers.shape)


class MissingNumbers(Sound):
    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        price = rows.table["price"].to_numpy().astype(np.float32)
        return rows.ids[:, 0], rows.numbers + torch.from_numpy(price)[:, None]


class SmallTable(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(SIZES[0] - 1, 8)


class NoneForUnknown(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return torch.where(self.unknown, torch.nan, self.click(hidden).squeeze(1)), hidden[:, 0]

    def forward(self, item: Tensor, numbers: Tensor) -> Output:
        self.unknown = item == 1
        return super().forward(item, numbers)


class PastOfOne(Sound):
    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        newest = [each[-1] for each in rows.table["history_item"].to_pylist()]
        return torch.tensor([int(each != "a") for each in newest]), rows.numbers


class Columns(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return self.click(hidden), self.convert(hidden)


class OneLogit(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return self.click(hidden).squeeze(1)


class TwoLogits(Sound):
    conversions = False


class Classes(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return (self.click(hidden).squeeze(1) > 0).long(), self.convert(hidden).squeeze(1)


class Overflow(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return (hidden[:, 0] / 0), self.convert(hidden).squeeze(1)


class OtherClicks(Sound):
    def click_logit(self, *inputs: Tensor) -> Tensor:
        return super().click_logit(*inputs) + 1


class Constant(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return 0 * hidden[:, 0] - 1, 0 * hidden[:, 0] - 1


class Probabilities(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return 5 + hidden[:, 0], self.convert(hidden).squeeze(1)


class StaysInTraining(Sound):
    def train(self, mode: bool = True) -> "StaysInTraining":
        super().train(mode)
        self.body.train(True)
        return self


class FunctionalDropout(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return super().heads(functional.dropout(hidden, 0.3))


class Clock(Sound):
    calls = 0

    def heads(self, hidden: Tensor) -> Output:
        self.calls += 1
        return super().heads(hidden + self.calls)


class Counting(Sound):
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def heads(self, hidden: Tensor) -> Output:
        self.seen += 1
        return super().heads(hidden)


class WritesInputs(Sound):
    def forward(self, item: Tensor, numbers: Tensor) -> Output:
        return super().forward(item, numbers.clamp_(-1, 1))


class Centered(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return super().heads(hidden - hidden.mean(dim=0))


class BatchStatistics(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(16, track_running_stats=False)

    def heads(self, hidden: Tensor) -> Output:
        return super().heads(self.norm(hidden) if len(hidden) > 1 else hidden)


class Unreached(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.aside = nn.Linear(16, 16)

    def default_places(self) -> list[str]:
        return ["aside"]


class GivesPair(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(16, 16, batch_first=True)

    def heads(self, hidden: Tensor) -> Output:
        return super().heads(self.gru(hidden[:, None])[0][:, 0])

    def default_places(self) -> list[str]:
        return ["gru"]


class Whole(nn.Module):
    def forward(self, hidden: Tensor) -> Tensor:
        return hidden.argmax(dim=1, keepdim=True)


class GivesWhole(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.best = Whole()

    def heads(self, hidden: Tensor) -> Output:
        return super().heads(hidden + self.best(hidden))

    def default_places(self) -> list[str]:
        return ["best"]


class Twice(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(16, 16)

    def heads(self, hidden: Tensor) -> Output:
        return super().heads(self.shared(self.shared(hidden)))

    def default_places(self) -> list[str]:
        return ["shared"]


class Misspelt(Sound):
    def default_places(self) -> list[str]:
        return ["bodi.0"]


class NoPlaces(Sound):
    def default_places(self) -> list[str]:
        return []


class Detached(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.aside = nn.Linear(16, 16)

    def heads(self, hidden: Tensor) -> Output:
        return super().heads(hidden + self.aside(hidden).detach())

    def default_places(self) -> list[str]:
        return ["body.0", "aside"]


class Branching(Sound):
    def heads(self, hidden: Tensor) -> Output:
        return super().heads(hidden + 1 if hidden.sum() > -1e9 else hidden)


class Fault(NamedTuple):
    """A model, the check that finds its fault, how bad that is, and a part of the line."""

    model: type[Sound]
    check: Check
    mark: str
    line: str


FAULTS = [
    Fault(NoTuple, check_inputs, "wrong", "inputs: is a Tensor; return a tuple of tensors"),
    Fault(FixedRows, check_inputs, "wrong", "inputs: argument 0 is (50,) for 256 rows; the rows c"),
    Fault(
        CentredInputs, check_inputs, "wrong", "inputs: what a row gets depends on the other rows"
    ),
    Fault(
        DrawnInputs, check_inputs, "wrong", "inputs: the same rows get other tensors in a second"
    ),
    Fault(MissingNumbers, check_inputs, "wrong", "of nulls: argument 1 has NaN or infinity; give"),
    Fault(SmallTable, check_inputs, "wrong", "the last id of each field: forward fails (IndexErr"),
    Fault(NoneForUnknown, check_inputs, "wrong", "unknown ids: 256 logits are NaN or infinite"),
    Fault(PastOfOne, check_inputs, "wrong", "users without a past: fails (IndexError: list index"),
    Fault(Columns, check_outputs, "wrong", "the logit of pCTR is (61, 1) for 61 rows; it must be"),
    Fault(OneLogit, check_outputs, "wrong", "forward gives one tensor, and conversions = True as"),
    Fault(TwoLogits, check_outputs, "wrong", "forward gives a tuple, and conversions = False ask"),
    Fault(Classes, check_outputs, "wrong", "the logit of pCTR is torch.int64; return floating"),
    Fault(Overflow, check_outputs, "wrong", "outputs: 61 of 122 logits are NaN or infinite; each"),
    Fault(OtherClicks, check_outputs, "wrong", "click_logit gives another logit than forward"),
    Fault(Clicks, check_outputs, "wrong", "gate.metric = 'ctcvr_auc', but the model predicts no"),
    Fault(Constant, check_predictions, "warn", "every row gets the same pCTR; see that inputs"),
    Fault(Probabilities, check_predictions, "warn", ": far from the click rate; see that forward"),
    Fault(StaysInTraining, check_mode, "wrong", "'body.2' (Dropout) is in training mode after"),
    Fault(FunctionalDropout, check_repeats, "wrong", "FunctionalDropout.forward itself draws ran"),
    Fault(Clock, check_repeats, "wrong", "the same rows get other logits in a second call (by"),
    Fault(Counting, check_repeats, "wrong", "repeats: a call changes seen; keep nothing between"),
    Fault(WritesInputs, check_repeats, "wrong", "forward writes into its argument 1; change a co"),
    Fault(Centered, check_alone, "wrong", "of the largest, first seen behind 'click' (Linear); no"),
    Fault(BatchStatistics, check_alone, "wrong", "first seen behind 'norm' (BatchNorm1d); no mean"),
    Fault(Unreached, check_places, "wrong", "place 'aside': forward does not call it; call the m"),
    Fault(GivesPair, check_places, "wrong", "place 'gru': gives a tuple, a kernel takes one tens"),
    Fault(GivesWhole, check_places, "wrong", "place 'best': gives torch.int64, a kernel takes"),
    Fault(Twice, check_places, "warn", "place 'shared': called 2 times in a forward, one kernel"),
    Fault(Misspelt, check_places, "wrong", "place 'bodi.0': no module of the model; name one of"),
    Fault(NoPlaces, check_places, "wrong", "the model names no places; name some in adapter.at: "),
    Fault(Detached, check_trial, "wrong", "no gradient reaches the kernel at 'aside'; the loss mu"),
    Fault(Counting, check_trial, "wrong", "training: changed the frozen seen; let forward change"),
    Fault(Branching, check_trial, "warn", "torch.fx does not find what lies below the adapters"),
]
CHECKS: list[Check] = [
    *(check_inputs, check_outputs, check_predictions, check_mode, check_repeats, check_alone),
    *(check_places, check_trial),
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A configuration with a recommender of one's own."""
    return World(tmp_path_factory.mktemp("own"), **section()).config


def section(**changes: object) -> dict[str, dict[str, object]]:
    """The sections of params.yaml for a recommender of one's own."""
    own = {"factory": "theirs:make", "weights": "theirs.safetensors", **changes}
    return {"recommender": own, "adapter": {"at": "auto"}, "gate": {"metric": "ctcvr_auc"}}


def subject(model: Recommender, config: Config) -> Subject:
    """The model with rows that have ids, numbers, a price and a past."""
    draw = np.random.default_rng(0)
    ids = torch.from_numpy(draw.integers(2, 5, (COUNT, 2)))
    numbers = torch.from_numpy(draw.normal(size=(COUNT, 3)).astype(np.float32))
    click = torch.from_numpy(draw.random(COUNT) < 0.3).float()
    none, zeros = np.full(COUNT, np.nan), np.zeros(COUNT, dtype=np.int64)
    keys = np.array(["a", "b", "c"] * (COUNT // 3))
    table = pa.table({"price": draw.random(COUNT), "history_item": [["a", "b"]] * COUNT})
    rest = (zeros, keys, zeros, zeros, none, none, table)
    rows = Rows(ids, numbers, click, click * (ids[:, 1] > 2), *rest)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return Subject(config, model.eval(), SIZES, rows, held_out=True)


def made(kind: type[Sound], config: Config) -> Subject:
    """A model of a class, with weights that are drawn with a seed."""
    torch.manual_seed(0)
    return subject(kind(), config)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.model.__name__)
def test_a_fault_is_a_line(fault: Fault, config: Config) -> None:
    found = _findings(fault.check, made(fault.model, config))
    lines = [each.line for each in found if each.mark == fault.mark]
    assert len(lines) == 1, lines
    assert fault.line in lines[0]
    assert "\n" not in lines[0]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_model_passes(check: Check, config: Config) -> None:
    found = _findings(check, made(Sound, config))
    assert found
    assert {each.mark for each in found if "AUC" not in each.what} <= {"ok"}, found
    assert all(each.mark != "wrong" for each in found), found


def test_a_check_that_fails_is_a_finding(config: Config) -> None:
    class Fails(Sound):
        def heads(self, hidden: Tensor) -> Output:
            raise KeyError("city")

    (found,) = _findings(check_alone, made(Fails, config))
    assert found.line == "alone: the model fails (KeyError: 'city'); correct its code"


def test_padding_to_the_longest_row_is_no_fault(config: Config) -> None:
    class Padded(Sound):
        def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
            item, numbers = super().inputs(rows)
            return item, torch.nn.functional.pad(numbers, (0, len(numbers)))

        def forward(self, item: Tensor, numbers: Tensor) -> Output:
            return super().forward(item, numbers[:, :3])

    assert {each.mark for each in check_inputs(made(Padded, config))} == {"ok"}


def test_a_device_that_is_not_there_is_a_finding(config: Config) -> None:
    adapter = config.adapter.model_copy(update={"device": "cuda:99"})
    lost = config.model_copy(update={"adapter": adapter})

    def speed(subject: Subject) -> Iterator[Finding]:
        yield from told(measure(subject))

    (found,) = _findings(speed, made(Sound, lost))
    assert found.mark == "wrong" and "adapter.device = 'cuda:99'" in found.line


def test_batches_that_fail_are_told(config: Config) -> None:
    class Halves(Sound):
        def heads(self, hidden: Tensor) -> Output:
            return super().heads(
                hidden.view(2, -1, 16).flatten(0, 1) if len(hidden) < 9 else hidden
            )

    (found,) = check_alone(made(Halves, config))
    assert found.mark == "wrong"
    assert found.what.startswith("rows: a batch of 1 rows fails (RuntimeError: ")


def test_places_have_widths_and_what_lies_below(config: Config) -> None:
    places = {each.name: each for each in usable_places(made(Sound, config))}
    assert list(places) == ["table", "body.0", "body.1", "body.2", "body", "click", "convert"]
    chosen = [name for name, each in places.items() if each.chosen]
    assert chosen == ["body.0"]
    assert [places[name].width for name in ("table", "body.0", "click")] == [8, 16, 1]
    assert places["body.0"].parameters > places["table"].parameters > 0
    assert all(each.below is not None and 0 < each.below <= 1 for each in places.values())


@pytest.mark.slow
@pytest.mark.ci
def test_speed_is_measured_for_many_domains(config: Config) -> None:
    speed = measure(made(Sound, config))
    assert set(speed.by_domains) == set(DOMAINS)
    assert min(speed.cpu, speed.inputs, *speed.by_domains.values()) > 0
    assert speed.model == sum(4 * each.numel() for each in Sound().parameters())
    assert "64 domains" in told(speed)[1].line


def test_peak_memory_counts_what_was_held_meanwhile() -> None:
    with peak_memory() as peak:
        held = bytearray(64 << 20)
        del held
    if peak.size is None:
        pytest.skip("the system does not tell")
    assert 60 << 20 < peak.size < 128 << 20
    assert [shown(n) for n in (12, 3_400, 5_600_000)] == ["12 bytes", "3.4 kB", "5.6 MB"]


def test_imported_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name, text in {
        "theirs.py": "import json\nimport torch\nfrom lib.parts import layer\nimport helper",
        "helper.py": "from lib import other",
        "lib/__init__.py": "",
        "lib/parts.py": "from . import more",
        "lib/more.py": "",
        "lib/other.py": "",
        "lib/unused.py": "",
        "json.py": "",
    }.items():
        (tmp_path / name).write_text(text)
    found = imported(tmp_path, [tmp_path / "theirs.py"])
    names = [str(path.relative_to(tmp_path)) for path in found]
    assert names == ["helper.py", "lib/__init__.py", "lib/more.py", "lib/other.py", "lib/parts.py"]


CODE = """
import shared
from torch import nn
from driftune.models.recommender import Recommender

class Small(Recommender):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Linear(width, 8)
        self.heads = nn.Linear(8, 2)

    def inputs(self, rows):
        return (rows.numbers,)

    def forward(self, numbers):
        click, convert = self.heads(self.body(numbers).relu()).unbind(1)
        return click - 1, convert

def make(schema, extra=0):
    return Small(len(schema.numbers) + extra)
"""


def own_world(world: World, numbers: int = 5) -> World:
    """The world with a recommender of its own in its folder."""
    root = world.root
    (root / "theirs.py").write_text(CODE)
    (root / "shared.py").write_text("")
    torch.manual_seed(0)
    shapes = {"body.weight": (8, numbers), "body.bias": (8,), "heads.weight": (2, 8)}
    tensors = {name: 0.1 * torch.randn(shape) for name, shape in shapes.items()}
    save_file({**tensors, "heads.bias": torch.zeros(2)}, root / "theirs.safetensors")
    return world


def stands(root: Path) -> dict[str, bytes]:
    """Every file of a project, but for caches."""
    files = [path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path): path.read_bytes() for path in files if "features" not in path.parts}


class Unusable(NamedTuple):
    """What is done to a sound project, the settings that it gets, and the line."""

    name: str
    break_it: Callable[[Path], None]
    settings: dict[str, object]
    line: str


def _save_other(root: Path) -> None:
    save_file({"body.weight": torch.zeros(8, 5)}, root / "theirs.safetensors")


def _save_module(root: Path) -> None:
    torch.save(nn.Linear(2, 2), root / "theirs.pt")


UNUSABLE = [
    Unusable("no file", lambda root: None, {"weights": "w.pt"}, "w.pt is not there"),
    Unusable("no module", lambda root: None, {"factory": "mine:make"}, "mine cannot be imported"),
    Unusable("no factory", lambda root: None, {"factory": "theirs:mak"}, "has no function 'mak'"),
    Unusable("its signature", lambda root: None, {"options": {"depth": 3}}, "argument 'depth'"),
    Unusable("no Recommender", lambda root: None, {"factory": "theirs:Plain"}, "gave a Plain; it"),
    Unusable("others' weights", _save_other, {}, "not the weights of Small (RuntimeError: "),
    Unusable("another shape", lambda root: None, {"options": {"extra": 1}}, "size mismatch for bo"),
    Unusable(
        "a pickled module", _save_module, {"weights": "theirs.pt"}, "no readable weights (Unp"
    ),
]


@pytest.mark.parametrize("case", UNUSABLE, ids=lambda case: case.name)
def test_what_cannot_be_loaded_is_one_line(
    case: Unusable, make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = own_world(make_world(**section(**case.settings)))
    with (tmp_path / "theirs.py").open("a") as code:
        code.write("class Plain:\n    def __init__(self, schema):\n        pass\n")
    case.break_it(tmp_path)
    with pytest.raises(DriftuneError) as refused:
        load(world.config, encoder(5))
    assert case.line in str(refused.value)
    assert "\n" not in str(refused.value)


def encoder(numbers: int) -> Encoder:
    """An encoder of so many numbers and two fields."""
    names = tuple(f"n{each}" for each in range(numbers))
    zeros = (0.0,) * numbers
    return Encoder(("user", "item"), SIZES, 1, names, zeros, zeros, Path("none"), "mark")


def test_code_that_the_fingerprint_leaves_out_is_named(make_world: Callable[..., World]) -> None:
    world = own_world(make_world(**section()))
    _, found = load(world.config, encoder(5))
    assert [each.mark for each in found] == ["ok", "ok", "warn"]
    assert "imports shared.py, which the fingerprint does not cover" in found[2].what
    assert found[2].remedy == "recommender.code: [shared.py]"
    covered = own_world(make_world(**section(code=["shared.py"])))
    assert [each.mark for each in load(covered.config, encoder(5))[1]] == ["ok", "ok"]


def test_memory_of_a_large_file_is_told(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = own_world(make_world(**section(code=["shared.py"])))
    for name in ("MEASURED", "_LIBRARIES"):
        monkeypatch.setattr(f"driftune.deployment.check_model.loading.{name}", 1)
    own = world.config.recommender
    assert own is not None
    length = (world.root / "theirs.safetensors").stat().st_size
    kept, copied = (list(_copied(world.config, own, Peak(n * length))) for n in (1, 2))
    assert (kept[0].mark, copied[0].mark) == ("ok", "warn")
    assert "more than 1.3 times its size; the factory keeps values" in copied[0].line
    assert list(_copied(world.config, own, Peak(None))) == []


def _taken_up_line(world: World) -> str:
    """What is said of a model that is another one than the card's."""
    _, found = load(world.config, encoder(len(number_names(world.config))))
    return next(each.line for each in found if each.mark == "warn")


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.ci
def test_a_sound_project_passes_before_it_is_pretrained(
    world: World, driftune: Callable[..., Ended]
) -> None:
    own = World(world.root, **section(code=["shared.py"]))
    own_world(own, numbers=len(number_names(own.config)))
    before = stands(world.root)
    done = driftune("check-model", "--config", str(world.params), "--rows", "400", "--json")
    assert done.code == 0, done.out
    said = json.loads(done.out)
    assert said["ok"]
    assert [place["name"] for place in said["places"] if place["chosen"]] == ["body"]
    assert stands(world.root) == before
    with Ledger(own.config) as ledger:
        pretrain(own.config, ledger)
    assert ", theirs:make with theirs.safetensors" in _backbone(own.config)
    (world.root / "shared.py").write_text("changed = True")
    assert "not the one that was taken up" in _taken_up_line(own)


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.ci
def test_a_fault_ends_with_exit_code_1(world: World, driftune: Callable[..., Ended]) -> None:
    own = World(world.root, **section())
    own_world(own, numbers=len(number_names(own.config)))
    code = (world.root / "theirs.py").read_text()
    (world.root / "theirs.py").write_text(code.replace("click - 1, convert", "click - 1"))
    done = driftune("check-model", "--config", str(world.params))
    assert done.code == 1
    assert "FAIL  outputs: forward gives one tensor" in done.out
    assert done.out.splitlines()[-1] == "WARN  not checked further; correct these first"


@pytest.mark.trains
def test_the_built_in_model_passes(trained_world: World, driftune: Callable[..., Ended]) -> None:
    before = stands(trained_world.root)
    done = driftune("check-model", "--config", str(trained_world.params), "--rows", "300")
    assert done.code == 0, done.out
    assert "FAIL" not in done.out
    assert "click_tower.1 *" in done.out
    assert ", the built-in recommender" in _backbone(trained_world.config)
    assert stands(trained_world.root) == before
    (trained_world.config.home / "model" / "backbone" / "backbone.json").unlink()
    done = driftune("check-model", "--config", str(trained_world.params))
    assert done.code == 1
    assert "no backbone yet; run driftune pretrain" in done.out
