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
        ("model = 3", "expected a table"),
        ("[model", "not valid TOML"),
        ('[registry]\nmodel_name = "../../other"', "model_name: '../../other' is no plain name"),
    ],
)
def test_a_bad_setting_is_named(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_config(text)
