"""Unknown ids: which share of rows trains what stands for them, and who is given what it learnt."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from driftune.errors import ConfigError
from driftune.features.encoder import Encoder, load_encoder
from driftune.io import read_json
from driftune.models.esmm import ESMM
from driftune.registry.ledger import Ledger
from driftune.training.fitting import fit
from driftune.training.holdout import newest_of_each
from driftune.training.pretrain import (
    backbone_folder,
    encoder_folder,
    load_model,
    pretrain,
    reference_rows,
)
from driftune.training.rows import Rows
from driftune.training.unknown import MOST, IdDropout, id_dropout
from tests.conftest import REFERENCE_DAYS, World, impressions

pytestmark = pytest.mark.trains


def rows_with(rows: Rows, field: int, ids: list[int]) -> Rows:
    """The first rows, with these ids in a field."""
    few = rows.take(np.arange(len(ids)))
    changed = few.ids.clone()
    changed[:, field] = torch.tensor(ids)
    return replace(few, ids=changed)


@pytest.fixture
def parts(trained_world: World) -> tuple[World, Encoder, Rows]:
    """A world, its encoder, and the rows that trained."""
    encoder = load_encoder(encoder_folder(trained_world.config))
    return trained_world, encoder, reference_rows(trained_world.config)[0]


def shares(world: World, encoder: Encoder, trained: Rows, held_out: Rows) -> dict[str, float]:
    """The shares of users and items that ``auto`` finds; other fields have the same ids here."""
    return id_dropout(world.config, encoder, trained, held_out).told


def test_the_share_is_what_held_out_rows_lack_more_than_training_rows(parts) -> None:
    world, encoder, rows = parts
    user, first = encoder.fields.index("user"), encoder.buckets + 1
    trained = rows_with(rows, user, [first] * 20 + [first + 1] * 20)
    half = len(trained)
    # Known; of the vocabulary but never trained; a bucket; null.
    held = rows_with(rows, user, [first] * 38 + [first + 5, 3])
    assert shares(world, encoder, trained, held) == {"user": 0.05}
    assert shares(world, encoder, trained, rows_with(rows, user, [first] * 39 + [0])) == {}
    assert shares(world, encoder, trained, rows_with(rows, user, [2] * 40)) == {"user": MOST}
    # Rare ids have trained the buckets already.
    taught = rows_with(rows, user, [first] * 20 + [2] * (half - 20))
    assert shares(world, encoder, taught, held) == {}
    nobody = rows.take(np.empty(0, dtype=np.int64))
    assert shares(world, encoder, trained, nobody) == {}


def test_a_share_that_is_given_is_that_of_the_fields_that_have_unknown_ids(parts) -> None:
    world, encoder, rows = parts
    config = world.config.model_copy(
        update={"backbone": world.config.backbone.model_copy(update={"id_dropout": 0.25})}
    )
    # A category is always one of four: to read it as unknown teaches nothing.
    user, first = encoder.fields.index("user"), encoder.buckets + 1
    known = rows.take(np.arange(400))
    ids = known.ids.clone()
    ids[-1, user] = 3
    assert int(ids[:-1, user].min()) >= first
    assert id_dropout(config, encoder, rows, known).told == {}
    assert id_dropout(config, encoder, rows, replace(known, ids=ids)).told == {"user": 0.25}
    # Nothing says which fields have none.
    nobody = rows.take(np.empty(0, dtype=np.int64))
    found = id_dropout(config, encoder, rows, nobody).told
    assert found == dict.fromkeys(["user", "item", "category", "restaurant_id"], 0.25)


def test_ids_are_replaced_by_buckets_as_often_as_said_and_nulls_stay() -> None:
    dropout = IdDropout(("user", "item", "hour"), (0.1, 0.3, 0.0), buckets=16)
    ids = torch.full((40_000, 3), 40)
    ids[:1000] = 0
    found = dropout(ids, torch.Generator().manual_seed(1))
    assert (found[:1000] == 0).all()
    changed = found[1000:] != 40
    for field, share in enumerate(dropout.shares):
        error = math.sqrt(share * (1 - share) / 39_000)
        assert abs(float(changed[:, field].double().mean()) - share) <= 5 * error
    assert set(found[1000:][changed].tolist()) == set(range(1, 17))
    assert torch.equal(found, dropout(ids, torch.Generator().manual_seed(1)))
    assert (ids[1000:] == 40).all()


def test_without_a_share_nothing_is_drawn() -> None:
    draws = torch.Generator().manual_seed(1)
    before = draws.get_state()
    ids = torch.full((5, 2), 40)
    assert IdDropout(("user", "item"), (0.0, 0.0), 16)(ids, draws) is ids
    assert torch.equal(draws.get_state(), before)


def test_a_share_of_nothing_trains_as_without(parts) -> None:
    world, encoder, rows = parts
    trained = []
    for dropout in (None, IdDropout(encoder.fields, (0.0,) * len(encoder.fields), 16)):
        torch.manual_seed(3)
        model = ESMM(encoder.sizes, len(encoder.numbers), 4, [8])
        fit(world.config, model, rows, dropout)
        trained.append(model.fingerprint())
    assert trained[0] == trained[1]


def test_ids_that_no_row_trained_are_given_a_buckets_embedding() -> None:
    model = ESMM([10, 10], 1, 4, [8])
    before = [model.field_vectors(field).detach().clone() for field in (0, 1)]
    ids = torch.tensor([[5, 5], [6, 6], [1, 1]])
    IdDropout(("user", "item"), (0.1, 0.0), buckets=3).fill(model, ids)
    users, items = (model.field_vectors(field).detach() for field in (0, 1))
    assert torch.equal(items, before[1])
    kept = [0, 1, 2, 3, 5, 6]
    assert torch.equal(users[kept], before[0][kept])
    for place in (4, 7, 8, 9):
        assert torch.equal(users[place], before[0][1 + place % 3])


def churning(world: World) -> World:
    """Reference days of which each has users of its own, three rows of each."""
    for number in range(REFERENCE_DAYS):
        day = world.day(number)
        frame = impressions(day)
        frame["user_id"] = [f"{day}-{row // 3}" for row in range(len(frame))]
        world.write(day, frame)
    return world


@pytest.mark.slow
@pytest.mark.ci
def test_new_users_train_what_stands_for_them_and_the_record_says_so(make_world, caplog) -> None:
    caplog.set_level("INFO", "driftune")
    world = churning(make_world())
    with Ledger(world.config) as ledger:
        figures = pretrain(world.config, ledger)
        assert figures["rows"] == sum(
            newest_of_each(*_all_rows(world), world.config.reference.holdout)
        )
        first = _files(world)
        pretrain(world.config, ledger)
    assert _files(world) == first
    assert read_json(backbone_folder(world.config).parent / "base.json")["id_dropout"] == {
        "user": MOST
    }
    assert "10.0% of the training rows read their user as unknown" in caplog.text
    encoder, model, _ = load_model(world.config)
    vectors = model.field_vectors(encoder.fields.index("user"))
    trained, held_out = reference_rows(world.config)
    user = encoder.fields.index("user")
    seen = set(trained.ids[:, user].tolist())
    new = [place for place in held_out.ids[:, user].unique().tolist() if place not in seen]
    assert len(new) > 20
    for place in new:
        if place > encoder.buckets:
            assert torch.equal(vectors[place], vectors[1 + place % encoder.buckets])


def _all_rows(world: World) -> tuple[np.ndarray, np.ndarray]:
    trained, held_out = reference_rows(world.config)
    time = np.concatenate([trained.time, held_out.time])
    keys = np.concatenate([trained.domain_key, held_out.domain_key])
    order = np.argsort(time, kind="stable")
    return keys[order], time[order]


def _files(world: World) -> list[bytes]:
    return [path.read_bytes() for path in sorted(backbone_folder(world.config).iterdir())]


@pytest.mark.parametrize("value", [-0.1, 0.6, "always"])
@pytest.mark.few(1)
def test_a_share_that_cannot_be_is_one_line(make_world, value) -> None:
    with pytest.raises(ConfigError, match=r"backbone\.id_dropout") as error:
        _ = make_world(backbone={"id_dropout": value}).config
    assert "\n" not in str(error.value)
