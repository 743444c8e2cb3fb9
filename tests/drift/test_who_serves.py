"""Who serves each of many domains, and until when its rows trained the base."""

from unittest import mock

from driftune.drift.windows import _served
from driftune.io import read_json, write_sealed
from driftune.registry.champions import Champion
from driftune.registry.ledger import BASE, Ledger
from driftune.training.pretrain import backbone_folder
from tests.conftest import World

DOMAINS = 2_000


def test_the_card_of_the_base_is_read_once_for_all_domains(tmp_path) -> None:
    config = World(tmp_path).config
    until = {f"domain-{number}": number for number in range(DOMAINS)}
    folder = backbone_folder(config)
    folder.mkdir(parents=True)
    write_sealed(folder / "backbone.json", {"trained_until": until})
    days = list(config.reference.days)
    champions = {key: Champion(BASE, days) for key in [*until, "of no row"]}
    reading = mock.patch("driftune.models.backbone.read_json", wraps=read_json)
    with Ledger(config) as ledger, reading as read:
        served, faults = _served(config, ledger, champions, "b" * 64)
    assert not faults
    assert {key: each.unseen_from for key, each in served.items()} == {
        **until,
        "of no row": DOMAINS - 1,
    }
    # To read it for each of 2,000 takes several seconds.
    assert read.call_count == 1
