"""What transformers checks of every causal language model, PEFT's and engines' expectations among it."""

import ast
import inspect
import re
import textwrap

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import AttentionInterface, AutoModel, AutoModelForCausalLM, GenerationConfig

from gpt4video.models import BackboneConfig, BackboneForCausalLM
from gpt4video.models.attention import Attention
from gpt4video.models.norms import PLACEMENTS

MIXED = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"] * 2}
"""Layers that see a window beside layers that see everything."""


def tiny(placement: str = "peri", **fields: object) -> BackboneForCausalLM:
    settings = {
        "vocab_size": 61,
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "embedding_std": 0.6,
        "initializer_range": 0.15,
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    return BackboneForCausalLM(BackboneConfig(norm_placement=placement, **{**settings, **fields})).eval()


def ids(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(1, 61, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("fields", [{}, MIXED], ids=["full", "mixed"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_implementations_of_attention_agree(placement, fields):
    model, tokens = tiny(placement, **fields).double(), ids(2, 9)
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[0, :3] = 0
    logits = {}
    for name in ("sdpa", "eager"):
        model.set_attn_implementation(name)
        logits[name] = model(tokens, attention_mask=mask).logits[mask.bool()]
    torch.testing.assert_close(logits["sdpa"], logits["eager"], rtol=1e-10, atol=1e-10)


def test_scores_with_a_cap_are_never_given_to_attention_that_has_none():
    model = tiny(attn_logit_softcapping=5.0)
    assert model.config._attn_implementation == "eager"
    with pytest.raises(ValueError, match="does not support"):
        model.set_attn_implementation("sdpa")
    assert tiny().config._attn_implementation == "sdpa"


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_padding_on_the_left_changes_no_greedy_word(placement):
    model, text = tiny(placement), ids(1, 5)
    padded = torch.cat((torch.zeros(1, 3, dtype=torch.long), text), dim=1)
    mask = (torch.arange(8) >= 3).long()[None]
    alone = model.generate(text, max_new_tokens=8, do_sample=False)
    beside = model.generate(padded, attention_mask=mask, max_new_tokens=8, do_sample=False)
    assert torch.equal(beside[0, 8:], alone[0, 5:])


@pytest.mark.parametrize("fields", [{}, MIXED, {"positions": "learned"}], ids=["full", "mixed", "learned"])
@pytest.mark.parametrize("cache", [{"use_cache": False}, {"cache_implementation": "static"}], ids=str)
def test_generate_says_the_same_with_every_kind_of_cache(fields, cache):
    model, prompt = tiny(**fields), ids(2, 6)
    settings = {"max_new_tokens": 10, "do_sample": False, "disable_compile": True}
    usual = model.generate(prompt, **settings)
    assert torch.equal(model.generate(prompt, **settings, **cache), usual)


def test_several_beams_keep_their_own_cache():
    settings = {"max_new_tokens": 8, "num_beams": 3, "do_sample": False}
    model, prompt = tiny(), ids(2, 5)
    assert torch.equal(
        model.generate(prompt, **settings), model.generate(prompt, use_cache=False, **settings)
    )


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_checkpointed_gradients_are_the_same_to_the_bit(placement):
    gradients = []
    for checkpointing in (False, True):
        model = tiny(placement).train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        model(ids(2, 6), labels=ids(2, 6)).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_vocabulary_can_grow_and_shrink(tied, scale):
    model, tokens = tiny(tie_word_embeddings=tied, embedding_scale=scale), ids(2, 6) % 40
    before = model(tokens).logits
    for size in (70, 40):
        model.resize_token_embeddings(size, mean_resizing=False)
        logits = model(tokens).logits
        assert logits.shape[-1] == model.config.vocab_size == size
        assert torch.equal(logits[..., :40], before[..., :40])
        assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_it_compiles_in_one_piece(placement):
    torch._dynamo.reset()
    model, tokens = tiny(placement, num_hidden_layers=2, mix_alpha=0.5), ids(2, 6)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(tokens, use_cache=False).logits, model(tokens).logits)


@pytest.mark.parametrize(
    "fields",
    [
        MIXED | {"num_hidden_layers": 4},
        {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}},
        {
            "sliding_window": 4,
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4},
            },
        },
        {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 5.0, "embedding_scale": 2.0},
        {"positions": "learned", "mlp_kind": "plain", "qk_norm": "projection"},
    ],
    ids=["mixed", "yarn", "two ropes", "capped", "learned"],
)
def test_what_other_families_need_compiles_in_one_piece(fields):
    torch._dynamo.reset()
    model, tokens = tiny(**{"num_hidden_layers": 2, **fields}), ids(2, 6)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(tokens, use_cache=False).logits, model(tokens).logits)


@pytest.mark.slow  # the compiler of C++ takes a minute
def test_it_compiles_to_machine_code():
    torch._dynamo.reset()
    model, tokens = tiny(), ids(2, 6)
    compiled = torch.compile(model, fullgraph=True)
    with torch.no_grad():
        # Fused sums in another order, of logits near 10.
        torch.testing.assert_close(
            compiled(tokens, use_cache=False).logits, model(tokens).logits, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("placement", ["peri", "deepnorm"])
def test_peft_trains_saves_and_merges_an_adapter(placement, tmp_path):
    model, tokens = tiny(placement), ids(2, 6)
    plain = model(tokens).logits
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"))
    assert torch.equal(adapted(tokens).logits, plain)  # a fresh adapter adds nothing
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):  # the first step moves one half of each adapter only, as the other starts at zero
        adapted(tokens, labels=tokens).loss.backward()
        optimizer.step()
    learnt = adapted.eval()(tokens).logits
    assert not torch.allclose(learnt, plain)
    adapted.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(tiny(placement), tmp_path)
    assert torch.equal(again(tokens).logits, learnt)
    torch.testing.assert_close(again.merge_and_unload()(tokens).logits, learnt, rtol=1e-4, atol=1e-4)


def test_attention_can_be_an_engines_own():
    # What vLLM does: it names its attention in the config and hands its state through forward's keywords.
    calls = []

    def engine(module, query, key, value, attention_mask, scaling, attention_instances, **kwargs):
        calls.append((module.layer_idx, scaling, query.shape, key.shape, attention_mask))
        return attention_instances[module.layer_idx](query).transpose(1, 2), None

    AttentionInterface.register("engine_of_a_test", engine)
    base = AutoModel.from_config(tiny(attention_scale=0.3).config)
    base.config._attn_implementation = "engine_of_a_test"
    out = base(
        inputs_embeds=base.get_input_embeddings()(ids(1, 6)),
        position_ids=torch.arange(6)[None],
        use_cache=False,
        return_dict=False,
        attention_instances=dict.fromkeys(range(4), lambda query: query),
    )
    assert isinstance(out, tuple) and out[0].shape == (1, 6, 32)
    assert calls == [(layer, 0.3, (1, 4, 6, 8), (1, 2, 6, 8), None) for layer in range(4)]


def test_vllm_finds_the_one_call_of_the_attention_interface():
    # Its Transformers backend reads the source of the module's forward, by the rule written out here.
    tree = ast.parse(textwrap.dedent(inspect.getsource(Attention.forward)))
    names = {
        node.targets[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("ALL_ATTENTION_FUNCTIONS.")
    }
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]
    assert len(calls) == 1
    assert [ast.unparse(k.value) for k in calls[0].keywords if k.arg == "scaling"] == ["self.scaling"]
    modules = [m for m in tiny().modules() if isinstance(m, Attention)]
    assert [m.layer_idx for m in modules] == [0, 1, 2, 3] and all(m.is_causal for m in modules)
    assert BackboneForCausalLM.is_backend_compatible()


@pytest.mark.parametrize(
    "fields",
    [{}, {"qk_norm": "head"}, {"qk_norm": "projection"}, {"mlp_kind": "plain"}, {"positions": "learned"}],
    ids=str,
)
def test_the_plans_for_several_devices_name_what_is_there(fields):
    model = tiny(**fields)
    base = model.base_model
    linears = {name for name, module in base.named_modules() if isinstance(module, nn.Linear)}
    planned = {
        pattern: {n for n, _ in base.named_modules() if re.fullmatch(pattern.replace("*", r"\d+"), n)}
        for pattern in base.tp_plan
    }
    assert all(planned.values())
    assert {f"model.{pattern}" for pattern in planned} <= model.tp_plan.keys()
    assert linears <= set().union(*planned.values())
    assert all(hasattr(base, name) for name in model.config.base_model_pp_plan)
    order = list(model.config.base_model_pp_plan)
    children = [n for n, module in base.named_children() if next(module.parameters(), None) is not None]
    assert sorted(children, key=order.index) == [name for name in order if name in children]


def test_a_saved_generation_config_is_used(tmp_path):
    model = tiny()
    model.generation_config = GenerationConfig(max_new_tokens=3, do_sample=False, pad_token_id=0)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.generate(ids(1, 4)).shape == (1, 7)


def test_16_bit_weights_give_nearly_the_same():
    model, tokens = tiny(), ids(2, 8)
    exact = model(tokens).logits
    with torch.no_grad():
        rough = model.to(torch.bfloat16)(tokens).logits.float()
    # bfloat16 has 8 binary digits; four layers of it stay within a few percent of logits near 10.
    assert (rough - exact).norm() < 0.05 * exact.norm()
