"""Our backbone beside LlamaForCausalLM: the same size, the same weights, the same calls.

prefill     a prompt in one forward pass, filling a cache
decode      one token more, greedy, after that prompt; a fresh copy of the cache's length each round
generate    transformers' own loop over both

Compiled means `torch.compile` around the same step of each, with transformers' static cache in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import DynamicCache, StaticCache

from gpt4video.models import BackboneConfig, BackboneForCausalLM
from gpt4video.training.norms.speed import paired

SIZES: dict[str, dict[str, Any]] = {
    "embedded": {
        "vocab_size": 2048,
        "hidden_size": 192,
        "intermediate_size": 512,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    },
    "512 wide": {
        "vocab_size": 8192,
        "hidden_size": 512,
        "intermediate_size": 1408,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": False,
    },
}
"""The language model that ships, and one ten times as large, whose time is that of its matrices."""
NAMES = {"attention_norms.inner": "input_layernorm", "mlp_norms.inner": "post_attention_layernorm"}
"""Our names of what Llama calls otherwise."""
PROMPT, NEW = 128, 32
"""Tokens of the prompt, and tokens that are decoded after it."""

Figures = dict[str, dict[str, float]]
Clock = Callable[[], float]


def models(size: dict[str, Any]) -> dict[str, Any]:
    """Llama and ours with its weights. Raises `AssertionError` if they do not say the same."""
    torch.manual_seed(0)
    llama = LlamaForCausalLM(LlamaConfig(**size, rms_norm_eps=1e-6)).eval()
    ours = BackboneForCausalLM(BackboneConfig(**size, norm_placement="pre", norm_eps=1e-6)).eval()
    theirs = llama.state_dict()
    ours.load_state_dict({name: theirs[_llama_name(name)] for name in ours.state_dict()})
    ids = torch.randint(0, size["vocab_size"], (2, 16))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids).logits, llama(ids).logits, rtol=1e-4, atol=1e-5)
    return {"llama": llama, "ours": ours}


def _llama_name(name: str) -> str:
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    return name


def eager(rounds: int, clock: Clock) -> dict[str, Figures]:
    """Prefill, decode and generate of both, at each size."""
    found: dict[str, Figures] = {}
    for name, size in SIZES.items():
        both = models(size)
        for what, make, times in (
            ("prefill", prefill, rounds),
            ("decode", decode, rounds),
            ("generate", generate, max(3, rounds // 4)),
        ):
            timed = _timed({n: make(m) for n, m in both.items()}, times, clock)
            found[f"{what}, eager, {name}"] = timed
    return found


def compiled(rounds: int, clock: Clock) -> dict[str, Figures]:
    """Prefill and decode of both, each compiled; and our compiled decoding beside their eager generate."""
    found: dict[str, Figures] = {}
    for name, size in SIZES.items():
        both = models(size)
        steps = {n: static_step(model) for n, model in both.items()}
        loops = {
            "llama, eager generate": generate(both["llama"]),
            "ours, compiled decode": loop(*steps["ours"]),
        }
        prefills = {n: compiled_prefill(m) for n, m in both.items()}
        nexts = {n: next_of(*step) for n, step in steps.items()}
        found[f"prefill, compiled, {name}"] = _timed(prefills, rounds, clock)
        found[f"decode, compiled, {name}"] = _timed(nexts, rounds, clock)
        found[f"{NEW} tokens at batch 1, {name}"] = _timed(loops, max(3, rounds // 4), clock)
    return found


def _timed(variants: dict[str, Callable[[], object]], rounds: int, clock: Clock) -> Figures:
    with torch.inference_mode():
        return paired(variants, rounds, clock=clock)


def _prompt(model: Any) -> Tensor:
    return torch.randint(0, model.config.vocab_size, (1, PROMPT), generator=torch.Generator().manual_seed(1))


def prefill(model: Any) -> Callable[[], object]:
    """The prompt into a fresh cache; the last position's scores."""
    ids = _prompt(model)
    return lambda: model(input_ids=ids, past_key_values=DynamicCache(config=model.config), logits_to_keep=1)


def decode(model: Any) -> Callable[[], object]:
    """`NEW` greedy steps after the prompt; the cache is cropped back afterwards."""
    ids = _prompt(model)
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        first = model(input_ids=ids, past_key_values=cache, logits_to_keep=1).logits.argmax(-1)

    def steps() -> None:
        token = first
        for _ in range(NEW):
            token = model(input_ids=token, past_key_values=cache, logits_to_keep=1).logits.argmax(-1)
        cache.crop(-NEW)

    return steps


def generate(model: Any) -> Callable[[], object]:
    """transformers' own loop, prompt included."""
    ids = _prompt(model)
    asked = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "pad_token_id": 0}
    return lambda: model.generate(ids, attention_mask=torch.ones_like(ids), eos_token_id=None, **asked)


def compiled_prefill(model: Any) -> Callable[[], object]:
    """The prompt in one compiled pass, without a cache."""
    ids = _prompt(model)
    run = torch.compile(lambda ids: model(input_ids=ids, use_cache=False, logits_to_keep=1).logits)
    return lambda: run(ids)


def static_step(model: Any) -> tuple[Callable[[Tensor, Tensor], Tensor], Any, Callable[[], Tensor]]:
    """A compiled step, (token, place) of (1, 1) -> next token; its cache; what reads the prompt into it."""
    cache = StaticCache(config=model.config, max_cache_len=PROMPT + 2 * NEW)
    ids = _prompt(model)

    def run(token: Tensor, place: Tensor) -> Tensor:
        found = model(input_ids=token, position_ids=place, past_key_values=cache, logits_to_keep=1)
        return found.logits.argmax(-1)

    def fill() -> Tensor:
        cache.reset()
        return model(input_ids=ids, past_key_values=cache, logits_to_keep=1).logits.argmax(-1)

    return torch.compile(run), cache, fill


def next_of(
    step: Callable[[Tensor, Tensor], Tensor], cache: Any, fill: Callable[[], Tensor]
) -> Callable[[], object]:
    """`NEW` compiled steps after the prompt; the prompt is read again when there is no room left."""
    state: dict[str, Any] = {"left": 0}

    def steps() -> None:
        if not state["left"]:
            with torch.inference_mode():
                state.update(left=2, token=fill(), place=PROMPT)
        for _ in range(NEW):
            state["token"] = step(state["token"], torch.tensor([[state["place"]]]))
            state["place"] += 1
        state["left"] -= 1

    return steps


def loop(
    step: Callable[[Tensor, Tensor], Tensor], cache: Any, fill: Callable[[], Tensor]
) -> Callable[[], object]:
    """The prompt and `NEW` compiled steps: what a served answer costs."""

    def answer() -> list[int]:
        tokens = [fill()]
        for i in range(NEW - 1):
            tokens.append(step(tokens[-1], torch.tensor([[PROMPT + i]])))
        return [int(token) for token in tokens]

    return answer
