"""Folders through the conversion: many files, missing and surplus tensors, tokenizers, the command."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from gpt4video.cli import main
from gpt4video.errors import ConfigError
from gpt4video.models import BackboneConfig, BackboneForCausalLM
from gpt4video.models.convert import convert_checkpoint

LLAMA = LlamaConfig(
    vocab_size=61,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    eos_token_id=None,
)


def ids(*shape: int) -> torch.Tensor:
    return torch.randint(2, 61, shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def llama(tmp_path):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LLAMA).eval()
    model.save_pretrained(tmp_path / "llama")
    return model


def test_no_file_is_larger_than_asked_for_on_either_side(llama, tmp_path):
    llama.save_pretrained(tmp_path / "many", max_shard_size="20KB")
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 3
    made = convert_checkpoint(tmp_path / "many", tmp_path / "ours", file_size=15_000)
    assert len(made.files) > 3
    assert made.parameters == sum(weight.numel() for weight in llama.parameters())
    for path in (tmp_path / "ours").glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            assert len(file.keys()) == 1 or sum(file.get_tensor(n).nbytes for n in file.keys()) <= 15_000  # noqa: SIM118
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert torch.equal(ours(ids(1, 9)).logits, llama(ids(1, 9)).logits)


def test_our_placements_that_a_family_has_can_be_said_in_it(tmp_path):
    torch.manual_seed(0)
    ours = BackboneForCausalLM(
        BackboneConfig(
            vocab_size=61,
            hidden_size=32,
            num_hidden_layers=2,
            norm_placement="output",
            qk_norm="projection",
        )
    ).eval()
    ours.save_pretrained(tmp_path / "ours")
    convert_checkpoint(tmp_path / "ours", tmp_path / "olmo", to="olmo2")
    olmo = AutoModelForCausalLM.from_pretrained(tmp_path / "olmo")
    assert type(olmo).__name__ == "Olmo2ForCausalLM"
    torch.testing.assert_close(olmo(ids(1, 9)).logits, ours(ids(1, 9)).logits)


@pytest.mark.parametrize(
    ("fields", "to", "message"),
    [
        ({"norm_placement": "peri"}, "llama", "A llama cannot say embedding_norm True"),
        ({"norm_placement": "mix", "num_post_layers": 1}, "llama", "cannot say norm_placement 'mix'"),
        ({"norm_placement": "pre", "norm_kind": "crmsnorm"}, "llama", "cannot say norm_kind 'crmsnorm'"),
        ({"norm_placement": "pre", "qk_norm": True}, "llama", "cannot say qk_norm 'head'"),
        ({"norm_placement": "pre", "qkv_bias": True}, "llama", "cannot say qkv_bias True"),
        ({"norm_placement": "pre"}, "gpt2", "A gpt2 cannot say "),
        ({"norm_placement": "pre"}, "gemma4", "no conversion for 'gemma4'; there is for llama, qwen2"),
        ({"norm_placement": "pre"}, "gpt4video_backbone", "is 'gpt4video_backbone' already"),
    ],
)
def test_a_model_that_the_family_cannot_say_is_refused(fields, to, message, tmp_path):
    BackboneForCausalLM(
        BackboneConfig(vocab_size=61, hidden_size=32, num_hidden_layers=2, **fields)
    ).save_pretrained(tmp_path / "ours")
    with pytest.raises(ConfigError) as caught:
        convert_checkpoint(tmp_path / "ours", tmp_path / "theirs", to=to)
    assert message in caught.value.message
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("model.norm.weight"), "The checkpoint lacks model.norm.weight."),
        (lambda w: w.update(extra=torch.ones(1)), "has, unknown to the family, extra."),
        (
            lambda w: w.update({"model.norm.weight": torch.ones(31)}),
            "Tensor model.norm.weight gives model.norm.weight of shape (31,), and by the config that is (32,",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(llama, tmp_path, change, message):
    path = tmp_path / "llama" / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ConfigError) as caught:
        convert_checkpoint(tmp_path / "llama", tmp_path / "ours")
    assert message in caught.value.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["llama"]  # nothing half done is left


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (GPTNeoXConfig(), "There is no conversion for 'gpt_neox'; there is for llama"),
        (Gemma2Config(use_bidirectional_attention=True), "with use_bidirectional_attention True cannot be"),
        (GPT2Config(scale_attn_by_inverse_layer_idx=True), "scale_attn_by_inverse_layer_idx True cannot be"),
        (LlamaConfig(rope_parameters={"rope_type": "dynamic", "factor": 2.0}), "rope_type must be one of"),
    ],
)
def test_configs_that_cannot_be_said_are_named(config, message, llama, tmp_path):
    config.save_pretrained(tmp_path / "llama")
    with pytest.raises(ConfigError) as caught:
        convert_checkpoint(tmp_path / "llama", tmp_path / "ours")
    assert message in caught.value.message


def test_folders_that_are_none_are_told(llama, tmp_path):
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        convert_checkpoint(tmp_path, tmp_path / "ours")
    with pytest.raises(ConfigError, match="exists; give the name of a new folder"):
        convert_checkpoint(tmp_path / "llama", tmp_path / "llama")
    (tmp_path / "llama" / "model.safetensors").rename(tmp_path / "llama" / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="has no weights as safetensors"):
        convert_checkpoint(tmp_path / "llama", tmp_path / "ours")


@torch.no_grad()
def test_what_old_files_hold_beside_the_weights_is_left_behind(llama, tmp_path):
    path = tmp_path / "llama" / "model.safetensors"
    speeds = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(4) for i in range(3)}
    save_file(load_file(path) | speeds, path, metadata={"format": "pt"})
    convert_checkpoint(tmp_path / "llama", tmp_path / "ours")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert torch.equal(ours(ids(1, 9)).logits, llama(ids(1, 9)).logits)


@torch.no_grad()
def test_gpt_2_as_it_was_published_has_short_names_masks_and_a_tokenizer_without_a_class(tmp_path):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=61, n_embd=32, n_layer=2, n_head=4, n_positions=32, eos_token_id=None)
    model = GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path / "gpt2")
    path = tmp_path / "gpt2" / "model.safetensors"
    weights = {name.removeprefix("transformer."): weight for name, weight in load_file(path).items()}
    masks = {f"h.{i}.attn.bias": torch.ones(1, 1, 32, 32).tril() for i in range(2)}
    save_file(weights | masks, path, metadata={"format": "pt"})
    save_tokenizer(tmp_path / "gpt2")
    (tmp_path / "gpt2" / "tokenizer_config.json").write_text('{"model_max_length": 32}')

    convert_checkpoint(tmp_path / "gpt2", tmp_path / "ours")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    torch.testing.assert_close(ours(ids(1, 9)).logits, model(ids(1, 9)).logits, rtol=1e-4, atol=1e-5)
    told = [AutoTokenizer.from_pretrained(tmp_path / side)("ba ab").input_ids for side in ("gpt2", "ours")]
    assert told[0] == told[1]


def save_tokenizer(folder):
    words = {token: i for i, token in enumerate(["<unk>", "a", "b", "Ġ", "ba", "ab"])}
    tokenizer = Tokenizer(models.BPE(words, [("b", "a"), ("a", "b")], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)


def test_tokenizer_and_generation_settings_come_along(llama, tmp_path):
    save_tokenizer(tmp_path / "llama")
    (tmp_path / "llama" / "generation_config.json").write_text('{"max_new_tokens": 2, "do_sample": false}')
    (tmp_path / "llama" / "chat_template.jinja").write_text("{{ messages[0].content }}")
    convert_checkpoint(tmp_path / "llama", tmp_path / "ours")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert tokenizer("ba ab").input_ids == [4, 3, 5]
    said = [{"role": "user", "content": "ab"}]
    assert tokenizer.apply_chat_template(said, tokenize=False) == "ab"
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert ours.generate(ids(1, 3)).shape == (1, 5)


def test_the_command_converts_both_ways(llama, tmp_path, capsys):
    assert main(["convert", str(tmp_path / "llama"), str(tmp_path / "ours")]) == 0
    assert "gpt4video_backbone, " in (told := capsys.readouterr().out) and "parameters in one file" in told
    assert main(["convert", str(tmp_path / "ours"), str(tmp_path / "again"), "--to", "llama"]) == 0
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("llama", "again")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[1][name], weight) for name, weight in weights[0].items())
    assert json.loads((tmp_path / "again" / "config.json").read_text())["model_type"] == "llama"
    capsys.readouterr()
    assert main(["convert", str(tmp_path / "llama"), str(tmp_path / "ours")]) == 2
    assert "exists; give the name of a new folder." in capsys.readouterr().err
