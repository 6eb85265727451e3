"""The language model in vLLM: found through the entry point, and greedy words equal to `generate`'s."""

import importlib
import tomllib
from pathlib import Path

import pytest
import torch

from gpt4video.models import BackboneConfig, BackboneForCausalLM
from gpt4video.models.norms import PLACEMENTS


def test_the_entry_point_names_what_is_there():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, function = project["entry-points"]["vllm.general_plugins"]["gpt4video"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.slow  # an engine for each placement
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_vllm_says_the_same_words_from_ids_and_from_embeddings(placement, tmp_path):
    vllm = pytest.importorskip("vllm", reason="vLLM is not installed")
    from gpt4video.models.vllm_plugin import register

    register()
    torch.manual_seed(0)
    model = BackboneForCausalLM(
        BackboneConfig(
            vocab_size=64,
            hidden_size=128,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            norm_placement=placement,
            initializer_range=0.15,
            embedding_std=0.6,
            tie_word_embeddings=False,
            max_position_embeddings=64,
        )
    ).eval()
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 2)
    model.save_pretrained(tmp_path)
    engine = vllm.LLM(
        model=str(tmp_path),
        skip_tokenizer_init=True,
        dtype="float32",
        enforce_eager=True,
        enable_prompt_embeds=True,
        max_model_len=64,
    )
    sampling = vllm.SamplingParams(temperature=0, max_tokens=12, ignore_eos=True, detokenize=False)
    prompts = [torch.randint(1, 64, (length,)) for length in (3, 9, 17)]
    with torch.no_grad():
        embeds = [model.get_input_embeddings()(prompt) for prompt in prompts]
    expected = [
        model.generate(prompt[None], max_new_tokens=12, do_sample=False)[0, len(prompt) :].tolist()
        for prompt in prompts
    ]
    for inputs in (
        [{"prompt_token_ids": prompt.tolist()} for prompt in prompts],
        [{"prompt_embeds": rows} for rows in embeds],
    ):
        said = [list(out.outputs[0].token_ids) for out in engine.generate(inputs, sampling)]
        assert said == expected
