"""Tests the settings in `evenhand.toml`."""

import pytest

from evenhand.errors import ConfigError
from evenhand.workspace.config import parse_config


def test_settings_reach_their_place():
    config = parse_config(
        '[model]\nepochs = 5\nint8 = false\n[draw]\nkappa = 1.25\n[ingest.decisions]\ncase_id = "id"\n'
    )
    assert (config.model.epochs, config.model.int8, config.draw.kappa) == (5, False, 1.25)
    assert config.ingest.decisions == {"case_id": "id"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[model]\nepoch = 5", "unknown key 'epoch'; known keys: .*epochs"),
        ("[modle]\nepochs = 5", "unknown key 'modle'"),
        ('[model]\nepochs = "five"', "not a whole number"),
        ("[model]\nepochs = true", "not a whole number"),
        ("[draw]\nkappa = nan", "not a number"),
        ("[draw]\nkappa = inf", "not a number"),
        (f"[draw]\nkappa = 1{'0' * 400}", "not a number"),
        ("[draw]\nfloor = 0", "draw.floor: 0.0 is not from 0.001 to 1"),
        ('[draw]\ncells = ["market", "nope"]', "draw.cells: 'nope' is unknown; use some of market, area"),
        ("[review]\nminutes_per_case = -3", "review.minutes_per_case: -3.0 is not from 0.01 to 1,440"),
        ("[app]\nport = 99999", "app.port: 99999 is not from 1 to 65,535"),
        ("[model]\nepochs = 0", "model.epochs: 0 is not from 1 to 1,000"),
        ("[model]\nseed = -1", "model.seed: -1 is not from 0 to 4,294,967,295"),
        ("model = 3", "expected a table"),
        ("[model", "not valid TOML"),
        ('[registry]\nmodel_name = "../../other"', "model_name: '../../other' is no plain name"),
    ],
)
def test_a_bad_setting_is_named(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_config(text)
