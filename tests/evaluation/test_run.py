"""`gpt4video evaluate` on a tiny checkpoint, from a config file to a JSON file."""

import argparse
import json

import pytest
import torch
import yaml

from gpt4video.errors import ConfigError, InputError
from gpt4video.evaluation.play import EvaluationConfig
from gpt4video.evaluation.report import read_files
from gpt4video.evaluation.run import Book, evaluate_main, fingerprint, settings
from gpt4video.evaluation.tasks import MEASURES
from tests.tiny import make_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("evaluated") / "tiny")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def config_file(folder, checkpoint, **evaluation):
    file = folder / "shapes.yaml"
    data = {"checkpoint": str(checkpoint), "training": {"stages": {}}, "evaluation": evaluation}
    file.write_text(yaml.safe_dump(data))
    return file


def options(config, json=None, **more):
    return argparse.Namespace(config=str(config), json=json, **more)


def test_every_measure_comes_out_of_a_whole_run(tmp_path, checkpoint, capsys):
    config = config_file(tmp_path, checkpoint, n=2, counts={"qa/*": 1, "oracle/*": 1})
    file = tmp_path / "quality.json"
    assert evaluate_main(options(config, file)) == 0
    found = json.loads(file.read_text())
    rare = {m for m in MEASURES if m.endswith(("/size", "/speed", "/relation"))}
    assert set(MEASURES) - rare <= set(found) <= set(MEASURES)
    for name, measure in found.items():
        assert list(measure) == ["value", "n", "seed", "interval", "bar"], name
        low, high = measure["interval"]
        assert 0 <= low <= measure["value"] <= high <= 1 and measure["seed"] == 2024
        assert measure["n"] == (1 if name.startswith(("qa/", "oracle/")) else 2) or name in rare
        assert measure["bar"] is None or 0 < measure["bar"] < 1
    assert read_files([file]).keys() == found.keys()
    shown = capsys.readouterr()
    assert "draw/two/everything" in shown.out and "questions:" in shown.err
    assert not file.with_name("quality.json.part").exists()


def test_some_measures_can_be_asked_for_alone(tmp_path, checkpoint):
    file = tmp_path / "some.json"
    assert evaluate_main(options(config_file(tmp_path, checkpoint, n=1), file, only=["refuse/*"])) == 0
    assert list(json.loads(file.read_text())) == ["refuse/unsafe", "refuse/contrast"]
    with pytest.raises(InputError, match="No measure is called taste"):
        evaluate_main(options(config_file(tmp_path, checkpoint), only=["taste"]))


def test_a_stopped_run_goes_on_only_with_the_same_checkpoint_and_settings(tmp_path, checkpoint):
    config = EvaluationConfig(n=1, only=("refuse/unsafe", "chat/*"))
    file = tmp_path / "stopped.json"
    measure = {"value": 0.5, "n": 1, "seed": 2024, "interval": [0.0, 1.0], "bar": None}
    part = {"fingerprint": fingerprint(str(checkpoint), config), "measures": {"refuse/unsafe": measure}}
    file.with_name("stopped.json.part").write_text(json.dumps(part))
    written = config_file(tmp_path, checkpoint, n=1)
    assert not Book(file, fingerprint(str(checkpoint), EvaluationConfig(n=2))).before()
    assert evaluate_main(options(written, file, only=list(config.only))) == 0
    found = json.loads(file.read_text())
    assert found["refuse/unsafe"] == measure and "chat/smalltalk" in found


def test_the_section_is_checked_and_others_are_left_alone(tmp_path, checkpoint):
    assert settings(str(config_file(tmp_path, checkpoint, n=7)))[0].n == 7
    assert settings(str(checkpoint)) == (EvaluationConfig(), str(checkpoint))
    with pytest.raises(ConfigError, match=r"evaluation: has no field 'sed'\. Did you mean 'seed'"):
        settings(str(config_file(tmp_path, checkpoint, sed=1)))
    with pytest.raises(ConfigError, match="at least one sample"):
        settings(str(config_file(tmp_path, checkpoint, n=0)))


def test_the_shipped_config_is_measured_on_the_test_part():
    config, checkpoint = settings("shapes")
    assert (config.part, checkpoint) == ("test", "embedded") and config.n >= 500


def test_nowhere_to_write_is_said_before_the_work(tmp_path, checkpoint):
    with pytest.raises(InputError, match="no folder"):
        evaluate_main(options(checkpoint, tmp_path / "nowhere" / "quality.json"))
