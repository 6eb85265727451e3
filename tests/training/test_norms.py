"""The study in seconds: real decoders made tiny, all the way to tables and plots."""

import json
import re
import tarfile
from collections import defaultdict

import pytest
import torch
import yaml

from gpt4video.cli import main
from gpt4video.config import config_folder
from gpt4video.errors import ConfigError
from gpt4video.models.backbone import BackboneForCausalLM
from gpt4video.training.norms import plots
from gpt4video.training.norms.claims import CLAIMS
from gpt4video.training.norms.config import ModelConfig, Setting, TextConfig, TrainingConfig
from gpt4video.training.norms.measure import (
    Loss,
    angles,
    gradients,
    loss_on,
    removal,
    stream_figures,
    streams,
)
from gpt4video.training.norms.results import Arm, Results, Spread, straightness
from gpt4video.training.norms.run import read_arms, read_study
from gpt4video.training.norms.text import read_text

TINY = {
    "folder": "study",
    "text": {"kind": "stdlib", "megabytes": 0.3},
    "model": {"width": 16, "heads": 2, "context": 16},
    "training": {"steps": 8, "batch": 2, "validation": 4, "moments": [0.0, 0.5, 1.0]},
    "blocks": [
        {"placements": ["pre", "post", "mix", "peri"], "layers": [4], "rates": [1e-2, 3e-3], "seeds": [0, 1]},
        {
            "placements": ["lns", "pre", "mix"],
            "layers": [4],
            "rates": [3e-3],
            "embeddings": ["small"],
            "seeds": [0],
        },
    ],
    "speed": {"width": 32, "rows": 394, "layers": 1, "rounds": 2},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The tiny study, run once: its folder."""
    folder = tmp_path_factory.mktemp("norms")
    (folder / "tiny.yaml").write_text(yaml.safe_dump({"norms": TINY}))
    words = ["norms", "--config", str(folder / "tiny.yaml"), "--output", str(folder / "study")]
    assert main(words) == 0
    return folder


@pytest.fixture
def again(study, capsys, monkeypatch):
    """Run the same command again, without the pictures: (status, stdout, stderr)."""
    monkeypatch.setattr(plots, "installed", lambda: False)

    def again(*words):
        status = main(
            ["norms", "--config", str(study / "tiny.yaml"), "--output", str(study / "study"), *words]
        )
        return status, *capsys.readouterr()

    return again


def results_of(study):
    config = read_study(str(study / "tiny.yaml"))
    norms = json.loads((study / "study" / "speed.json").read_text())
    return Results(read_arms(config.settings(), study / "study" / "arms"), norms)


def test_it_writes_tables_as_markdown_and_json(study):
    report = (study / "study" / "report.md").read_text()
    assert len(re.findall(r"^## ", report, re.MULTILINE)) == 9
    assert all(claim.text in report for claim in CLAIMS)
    assert "embeddings of standard deviation 0.02, then normalised" in report
    found = json.loads((study / "study" / "results.json").read_text())
    assert len(found["groups"]) == 11
    pre = next(g for g in found["groups"] if g["placement"] == "pre" and g["embeddings"] == "norm")
    assert pre["loss"]["n"] == 2 and pre["loss"]["std"] > 0
    assert len(pre["gradients"]["middle"]) == len(pre["angles"]) == len(pre["removal"]) == 4
    assert len(pre["stream"]["variance at 0.5"]) == 5
    assert set(found["speed"]) == {"of", "norm, forward", "norm, forward and backward", "CLIP image tower"}


def test_a_claim_is_answered_or_not_measured_and_never_guessed(study):
    held = {
        claim["claim"]: claim["holds"]
        for claim in json.loads((study / "study/results.json").read_text())["claims"]
    }
    assert held["Pre-LN, Pre-RMSNorm and Pre-CRMSNorm are one function"] is True
    empty = Results([], json.loads((study / "study" / "speed.json").read_text()))
    asked = [claim for claim in CLAIMS if claim.paper != "CRMSNorm"]
    assert all(claim.check(empty) is None for claim in asked)


def test_a_collapsed_model_is_told_beside_the_figures_of_its_layers():
    (rises,) = (claim for claim in CLAIMS if claim.text == "Post-LN's gradients rise with depth")
    gradients = {"attention": [1.0, 2.0], "mlp": [0.0, 0.0]}
    for loss, told in ((2.0, "(4 layers)"), (3.2, "(4 layers); post diverged in 1 of 1")):
        arms = [arm("pre", 1e-3, 0, 2.0), arm("post", 1e-3, 0, loss)]
        for one in arms:
            one.found.update(broke_at_step=None, moments=[{"share": 0.5, "gradients": gradients}])
        words, holds = rises.check(Results(arms, {}))
        assert words.endswith(told) and holds


def test_finished_arms_are_kept(study, again):
    files = sorted((study / "study" / "arms").iterdir())
    before = [file.stat().st_mtime_ns for file in files]
    files[0].unlink()
    status, out, err = again()
    assert status == 0 and not out and f"{len(files) - 1} of {len(files)} arms were finished before" in err
    after = [file.stat().st_mtime_ns for file in files]
    assert after[0] != before[0] and after[1:] == before[1:]


def test_an_arm_that_is_run_again_finds_the_same(study, again):
    arm = results_of(study).arms[0]
    folder = study / "study" / "arms"
    (folder / f"{arm.setting.name}.json").unlink()
    again()
    found = results_of(study).arms[0].found
    assert {k: v for k, v in found.items() if k != "seconds"} == {
        k: v for k, v in arm.found.items() if k != "seconds"
    }


def test_a_report_of_a_study_that_is_not_finished_trains_nothing(again, study):
    file = min((study / "study" / "arms").iterdir())
    kept = file.read_bytes()
    file.unlink()
    status, _, err = again("--report")
    assert status == 0 and not file.exists() and re.search(r"(\d+) of (?!\1 )\d+ arms", err)
    file.write_bytes(kept)


def test_arms_of_another_text_are_told_before_anything_is_trained(again, study):
    first, second, *_ = sorted((study / "study" / "arms").iterdir())
    kept = first.read_text(), second.read_text()
    other = json.loads(kept[0])
    other["found"]["text"] = "another text"
    first.write_text(json.dumps(other))
    for words in (("--report",), ()):
        status, _, err = again(*words)
        assert status == 2 and "arms of different texts (another text; standard library" in err
        second.unlink(missing_ok=True)  # now there is something to train
    assert not second.exists()
    first.write_text(kept[0])
    second.write_text(kept[1])


def test_json_is_the_only_thing_on_stdout(again):
    status, out, _ = again("--json")
    assert status == 0 and json.loads(out)["winner"] in ("pre", "post", "mix", "peri")


def test_without_matplotlib_it_says_what_to_install_and_writes_the_tables(again, study):
    (study / "study" / "report.md").unlink()
    status, _, err = again()
    assert status == 0 and "pip install 'gpt4video[plots]'" in err
    assert (study / "study" / "report.md").exists()


def test_every_plot_is_there_as_png_and_svg(study):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed; the extra `plots` brings it")
    names = {path.name for path in (study / "study" / "plots").iterdir()}
    assert names == {f"{name}.{suffix}" for name in plots.PLOTS for suffix in ("png", "svg")}


@pytest.mark.parametrize("name", ["norms-quick", "norms-full"])
def test_a_shipped_study_has_three_seeds_everywhere_and_every_decoder_can_be_made(name):
    config = read_study(name)
    assert all(len(block.seeds) >= 3 for block in config.blocks)
    assert config.settings()


def test_the_archive_of_finished_arms_is_one_that_the_study_goes_on_from(tmp_path):
    with tarfile.open(config_folder().parent / "docs" / "norms-full-arms.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "norms-full" / "arms"
    arms = read_arms(read_study("norms-full").settings(), folder)
    assert len(arms) == len(list(folder.iterdir())) == 45
    assert Results(arms, {}).winner() == "peri"


def test_the_shapes_study_has_three_rates_for_every_placement_and_three_seeds_at_one():
    seeds = defaultdict(lambda: defaultdict(set))
    for setting in read_study("norms-shapes").settings():
        seeds[setting.placement][setting.rate].add(setting.seed)
    assert set(seeds) == {"peri", "pre", "mix", "lns", "output", "post"}
    for rates in seeds.values():
        assert len(rates) >= 3 and max(map(len, rates.values())) == 3


def test_the_shapes_study_has_the_embedded_models_own_size():
    file = config_folder().parent / "gpt4video" / "embedded" / "language_model" / "config.json"
    embedded = json.loads(file.read_text())
    config = read_study("norms-shapes").settings()[0].backbone(embedded["vocab_size"])
    for field in (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "intermediate_size",
        "vocab_size",
        "norm_placement",
        "head_dim",
        "norm_eps",
    ):
        assert getattr(config, field) == embedded[field], field


def test_a_study_that_no_decoder_fits_is_told_before_anything_is_trained(tmp_path):
    file = tmp_path / "wrong.yaml"
    for norms, said in (
        ({"blocks": [{"placements": ["perri"]}]}, "norm_placement must be one of .* Did you mean 'peri'"),
        ({"blocks": [{"layer": [3]}]}, "has no field 'layer'. Did you mean 'layers'"),
        ({"training": {"moments": [0.0, 0.5]}}, "moments rise from 0.0 to 1.0"),
    ):
        file.write_text(yaml.safe_dump({"norms": norms}))
        with pytest.raises(ConfigError, match=said):
            read_study(str(file)).settings()
    file.write_text("training: {}")
    with pytest.raises(ConfigError, match="has no section 'norms'"):
        read_study(str(file))


def test_the_shapes_text_is_the_worlds_and_its_parts_differ():
    text = read_text(TextConfig(kind="shapes", dialogues=60))
    assert text.training.max() < text.vocabulary and len(text.training) > len(text.validation) > 100
    assert not torch.equal(text.batch(0, 0, 2, 32), text.held_out(2, 32))


def test_validation_text_is_held_out_by_file():
    text = read_text(TextConfig(megabytes=0.5))
    part = text.validation[:2000].astype("uint8").tobytes()
    assert part not in text.training.astype("uint8").tobytes()
    assert torch.equal(text.batch(3, 5, 2, 16), text.batch(3, 5, 2, 16))


@pytest.fixture
def decoder():
    setting = Setting(
        "pre", 3, 1e-3, "unit", 0, ModelConfig(width=16, context=16), TrainingConfig(), TextConfig()
    )
    torch.manual_seed(0)
    return BackboneForCausalLM(setting.backbone(32)).eval()


IDS = torch.randint(0, 32, (4, 16), generator=torch.Generator().manual_seed(0))


def test_a_layer_that_does_nothing_turns_nothing_and_is_not_missed(decoder):
    block = decoder.model.layers[1]
    torch.nn.init.zeros_(block.self_attn.o_proj.weight)
    torch.nn.init.zeros_(block.mlp.down_proj.weight)
    found = streams(decoder, IDS)
    rows = angles(found)
    assert [len(row) for row in rows] == [3, 2, 1]
    assert rows[1][0] == pytest.approx(0, abs=1e-7) and rows[0][0] > 1e-4
    rises = removal(decoder, [IDS], loss_on(decoder, [IDS]))
    assert rises[1] == pytest.approx(0, abs=1e-6) and abs(rises[0]) > 1e-6
    assert loss_on(decoder, [IDS]) == pytest.approx(loss_on(decoder, [IDS[:2], IDS[2:]]))


def test_stream_figures_are_those_of_the_definition(decoder):
    found = streams(decoder, IDS)
    figures = stream_figures(found)
    x = found[-1].double()
    assert len(figures["variance"]) == 4
    assert figures["variance"][-1] == pytest.approx(float(((x - x.mean(-1, keepdim=True)) ** 2).mean()))
    assert figures["largest"][-1] == pytest.approx(float(x.abs().max()))


def test_gradient_norms_are_over_a_layers_matrices(decoder):
    found = gradients(decoder, [IDS])
    assert all(parameter.grad is None for parameter in decoder.parameters())
    decoder(input_ids=IDS, labels=IDS).loss.backward()
    squares = sum(float(p.grad.square().sum()) for p in decoder.model.layers[2].mlp.parameters())
    assert found["mlp"][2] == pytest.approx(squares**0.5, rel=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("bf16", [False, True])
def test_a_recorded_step_is_the_step(decoder, bf16):
    decoder = decoder.cuda().train()

    def slopes(loss):
        decoder.zero_grad(set_to_none=True)
        loss.backward()
        return torch.cat([parameter.grad.flatten().clone() for parameter in decoder.parameters()])

    recorded = Loss(decoder, bf16).recorded(IDS.cuda())
    for shift in (1, 2):
        ids = ((IDS + shift) % 32).cuda()
        plain, found = Loss(decoder, bf16)(ids), recorded(ids)
        assert float(found.detach()) == pytest.approx(float(plain.detach()), rel=1e-3 if bf16 else 1e-5)
        wanted, slope = slopes(plain), slopes(found)
        assert float((slope - wanted).norm() / wanted.norm()) < (0.02 if bf16 else 1e-4)
        torch.optim.SGD(decoder.parameters(), lr=0.1).step()


def arm(placement, rate, seed, loss):
    setting = Setting(placement, 4, rate, "norm", seed, ModelConfig(), TrainingConfig(), TextConfig())
    return Arm(setting, {"validation": loss, "unigram_entropy": 3.2})


def test_a_tie_within_one_standard_error_goes_to_peri():
    losses = {("pre", 0): 2.00, ("pre", 1): 2.04, ("peri", 0): 2.01, ("peri", 1): 2.07}
    arms = [arm(placement, 1e-3, seed, loss) for (placement, seed), loss in losses.items()]
    assert Results(arms, {}).winner() == "peri"
    arms = [*arms[:2], arm("peri", 1e-3, 0, 2.41), arm("peri", 1e-3, 1, 2.47)]
    assert Results(arms, {}).winner() == "pre"


def test_what_is_no_better_than_the_frequencies_has_diverged():
    assert arm("post", 1e-3, 0, None).diverged and arm("post", 1e-3, 0, 3.19).diverged
    assert not arm("post", 1e-3, 0, 2.9).diverged


def test_spread_and_straightness():
    assert Spread.of([1.0, 3.0]) == Spread(2.0, pytest.approx(2**0.5), 2) and Spread.of([]) is None
    assert straightness([1, 2, 3, 4]) == pytest.approx(1) and straightness([1, 2, 4, 8, 16, 32]) < 0.9


def test_layers_are_compared_where_every_placement_trained():
    losses = {("pre", 1e-2): 2.0, ("pre", 3e-3): 2.1, ("pre", 1e-3): 2.3, ("post", 1e-2): 3.2}
    losses |= {("post", 3e-3): 2.4, ("post", 1e-3): 2.2}
    arms = [arm(placement, rate, 0, loss) for (placement, rate), loss in losses.items()]
    assert Results(arms, {}).deepest == (4, 3e-3)
    assert Results(arms[:4], {}).deepest == (4, 3e-3)
    assert Results([arms[0], arms[3]], {}).deepest == (4, 1e-2)
    thrice = [arm("pre", 1e-2, seed, 2.0) for seed in (1, 2)]
    assert Results(arms + thrice, {}).deepest == (4, 1e-2)  # one seed elsewhere is not worth three
