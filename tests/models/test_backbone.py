"""The language model against a second one written from the equations, and as a citizen of transformers."""

import math

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from gpt4video.errors import ConfigError, InputError
from gpt4video.models import BackboneConfig, BackboneForCausalLM

PLACEMENTS = ("pre", "post", "mix", "peri", "output", "deepnorm", "lns")
KINDS = ("rmsnorm", "layernorm", "crmsnorm")


def tiny(placement: str = "peri", **fields: object) -> BackboneForCausalLM:
    settings = {
        "vocab_size": 61,
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "embedding_std": 0.6,
        "initializer_range": 0.15,  # large enough that every branch matters
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    config = BackboneConfig(norm_placement=placement, **{**settings, **fields})
    return BackboneForCausalLM(config).eval()


def ids(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(1, 61, shape, generator=torch.Generator().manual_seed(seed))


def written_out(model: BackboneForCausalLM, tokens: torch.Tensor) -> torch.Tensor:
    """The logits of one text (L,), from the papers' equations: no table, no batch, no sdpa, complex RoPE."""
    c, w = model.config, dict(model.state_dict())
    length, e = len(tokens), c.head_dim
    places = torch.arange(length).double()
    speeds = c.rope_theta ** (-torch.arange(0, e, 2).double() / e)
    turn = torch.polar(torch.ones(length, e // 2).double(), places[:, None] * speeds)

    def rms(x, name):
        return x / (x.pow(2).mean(-1, keepdim=True) + c.norm_eps).sqrt() * w[f"{name}.weight"]

    def norm(x, name):
        if c.norm_kind == "layernorm":
            centred = x - x.mean(-1, keepdim=True)
            var = centred.pow(2).mean(-1, keepdim=True)
            return centred / (var + c.norm_eps).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]
        if c.norm_kind == "crmsnorm":  # the channel that was dropped, put back
            whole = torch.cat((x, -x.sum(-1, keepdim=True)), -1)
            whole = whole / (whole.pow(2).mean(-1, keepdim=True) + c.norm_eps).sqrt()
            return whole[..., :-1] * w[f"{name}.weight"]
        return rms(x, name)

    def rope(x):
        z = torch.complex(x[:, : e // 2], x[:, e // 2 :]) * turn
        return torch.cat((z.real, z.imag), -1)

    def attention(x, at):
        q, k, v = (x @ w[f"{at}.self_attn.{n}_proj.weight"].T for n in "qkv")
        heads = []
        for h in range(c.num_attention_heads):
            g = h * c.num_key_value_heads // c.num_attention_heads
            qh, kh, vh = q[:, h * e : (h + 1) * e], k[:, g * e : (g + 1) * e], v[:, g * e : (g + 1) * e]
            if c.qk_norm:
                qh, kh = rms(qh, f"{at}.self_attn.q_norm"), rms(kh, f"{at}.self_attn.k_norm")
            scores = rope(qh) @ rope(kh).T / math.sqrt(e)
            later = torch.ones(length, length).triu(1).bool()
            heads.append(scores.masked_fill(later, -math.inf).softmax(-1) @ vh)
        return torch.cat(heads, -1) @ w[f"{at}.self_attn.o_proj.weight"].T

    def mlp(x, at):
        gate, up = (x @ w[f"{at}.mlp.{n}_proj.weight"].T for n in ("gate", "up"))
        return (gate * gate.sigmoid() * up) @ w[f"{at}.mlp.down_proj.weight"].T

    x = w["model.embed_tokens.weight"][tokens]
    if c.embedding_norm:
        x = norm(x, "model.embedding_norm")
    layers = c.num_hidden_layers
    for layer in range(layers):
        at = f"model.layers.{layer}"
        word = c.norm_placement
        if word == "mix":
            word = "post" if layer < math.floor(c.mix_alpha * layers) else "pre"
        for f, n in ((attention, f"{at}.attention_norms"), (mlp, f"{at}.mlp_norms")):
            if word == "pre":
                x = x + f(norm(x, f"{n}.inner"), at)
            elif word == "post":
                x = norm(x + f(x, at), f"{n}.out")
            elif word == "peri":
                x = x + norm(f(norm(x, f"{n}.inner"), at), f"{n}.branch")
            elif word == "output":
                x = x + norm(f(x, at), f"{n}.branch")
            elif word == "deepnorm":
                x = norm((2 * layers) ** (1 / 4) * x + f(x, at), f"{n}.out")
            else:
                x = x + f(norm(x, f"{n}.inner") / math.sqrt(layer + 1), at)
    return norm(x, "model.norm") @ w["lm_head.weight"].T


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_placement_and_kind_is_what_its_equations_say(placement, kind, attention):
    fields = {"qk_norm": placement == "output", "tie_word_embeddings": placement != "mix"}
    for embedding_norm in (False, True):
        model = tiny(placement, norm_kind=kind, embedding_norm=embedding_norm, **fields).double()
        model.set_attn_implementation(attention)
        for name, weight in model.named_parameters():
            if "norm" in name:  # a gain of 1 everywhere would hide a norm in the wrong place
                torch.nn.init.uniform_(weight, 0.5, 2)
        tokens = ids(2, 7)
        with torch.no_grad():
            expected = torch.stack([written_out(model, row) for row in tokens])
            # The same sums in another order: 64-bit numbers agree to some 1e-14 of values near 10.
            torch.testing.assert_close(model(tokens).logits, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("placement", "sees_it"), [("peri", False), ("output", False), ("pre", True)])
def test_a_normalised_branch_may_grow_and_the_model_does_not_notice(placement, sees_it):
    model, tokens = tiny(placement, norm_eps=1e-14).double(), ids(2, 7)
    with torch.no_grad():
        before = model(tokens).logits
        for block in model.model.layers:
            block.self_attn.o_proj.weight *= 1000
            block.mlp.down_proj.weight *= 100
        after = model(tokens).logits
    assert torch.allclose(before, after, rtol=1e-9, atol=1e-9) != sees_it


@pytest.mark.parametrize(("alpha", "same_as"), [(0.0, "pre"), (1.0, "post")])
def test_a_mix_of_nothing_but_one_kind_is_that_kind_to_the_bit(alpha, same_as):
    mixed, plain = tiny("mix", mix_alpha=alpha), tiny(same_as)
    plain.load_state_dict(mixed.state_dict())
    assert torch.equal(mixed(ids(2, 9)).logits, plain(ids(2, 9)).logits)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_saved_and_opened_again_it_is_the_same_model(placement, tmp_path):
    for tied in (True, False):
        model = tiny(placement, tie_word_embeddings=tied, mix_alpha=0.5)
        model.save_pretrained(tmp_path / str(tied))
        again = AutoModelForCausalLM.from_pretrained(tmp_path / str(tied))
        assert torch.equal(again(ids(2, 5)).logits, model(ids(2, 5)).logits)
        assert (again.lm_head.weight is again.model.embed_tokens.weight) == tied
        config = AutoConfig.from_pretrained(tmp_path / str(tied))
        assert config.to_dict().keys() == model.config.to_dict().keys()
        assert config.num_post_layers == {"mix": 2, "post": 4}.get(placement, 0)
        assert config.to_diff_dict() == model.config.to_diff_dict()


def test_a_saved_model_keeps_its_post_layers_whatever_the_share_rounds_to(tmp_path):
    BackboneConfig(norm_placement="mix", num_post_layers=3).save_pretrained(tmp_path)
    assert BackboneConfig.from_pretrained(tmp_path).num_post_layers == 3


def test_fresh_weights_have_the_spread_the_config_asks_for():
    model = tiny(vocab_size=4000, embedding_std=0.6, initializer_range=0.1, tie_word_embeddings=False)
    assert model.model.embed_tokens.weight.std().item() == pytest.approx(0.6, rel=0.02)
    assert model.lm_head.weight.std().item() == pytest.approx(0.1, rel=0.02)
    assert tiny(vocab_size=4000).lm_head.weight.std().item() == pytest.approx(0.6, rel=0.02)


def test_deepnorm_starts_its_branches_smaller_and_the_queries_and_keys_as_they_are():
    model = tiny(
        "deepnorm", hidden_size=128, intermediate_size=256, num_hidden_layers=2, initializer_range=0.1
    )
    block = model.model.layers[1]
    small = [block.self_attn.v_proj, block.self_attn.o_proj, block.mlp.up_proj, block.mlp.down_proj]
    for linear in small:  # (8 * 2)^-1/4 = 0.5
        assert linear.weight.std().item() == pytest.approx(0.05, rel=0.03)
    for linear in (block.self_attn.q_proj, block.self_attn.k_proj):
        assert linear.weight.std().item() == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_greedy_decoding_with_a_cache_equals_without(placement):
    model, prompt = tiny(placement), ids(2, 6)
    cached = model.generate(prompt, max_new_tokens=12, do_sample=False)
    plain = model.generate(prompt, max_new_tokens=12, do_sample=False, use_cache=False)
    assert torch.equal(cached, plain)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("masked", [False, True])
def test_the_cache_can_be_filled_in_pieces_of_any_size(masked, placement):
    model, tokens = tiny(placement).double(), ids(1, 10)
    cache, pieces, seen = None, [], 0
    for piece in tokens.split([4, 1, 3, 2], dim=1):
        seen += piece.shape[1]
        mask = torch.ones(1, seen, dtype=torch.long) if masked else None
        out = model(piece, attention_mask=mask, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        pieces.append(out.logits)
    torch.testing.assert_close(torch.cat(pieces, 1), model(tokens).logits, rtol=1e-10, atol=1e-10)


def test_a_cache_needs_no_more_than_update_when_mask_and_positions_are_given():
    class Rows:
        """Keys and values of each layer, kept as an engine that serves many conversations might."""

        def __init__(self):
            self.kept = {}

        def update(self, keys, values, layer):
            old = self.kept.get(layer, (keys[:, :, :0], values[:, :, :0]))
            self.kept[layer] = torch.cat((old[0], keys), 2), torch.cat((old[1], values), 2)
            return self.kept[layer]

    model, tokens, cache = tiny().double(), ids(1, 5), Rows()
    for position in range(5):
        out = model(
            tokens[:, position : position + 1],
            attention_mask=torch.ones(1, 1, 1, position + 1, dtype=torch.bool),
            position_ids=torch.tensor([[position]]),
            past_key_values=cache,
        )
    torch.testing.assert_close(out.logits[:, -1], model(tokens).logits[:, -1], rtol=1e-10, atol=1e-10)


def test_padding_on_the_left_changes_nothing():
    model, text = tiny().double(), ids(1, 5)
    padded = torch.cat((torch.zeros(1, 3, dtype=torch.long), text), dim=1)
    mask = (torch.arange(8) >= 3).long()[None]
    alone, beside = model(text).logits, model(padded, attention_mask=mask).logits[:, 3:]
    torch.testing.assert_close(alone, beside, rtol=1e-10, atol=1e-10)
    both = model.generate(
        torch.cat((padded, ids(1, 8, seed=2))),
        attention_mask=torch.cat((mask, torch.ones_like(mask))),
        max_new_tokens=8,
        do_sample=False,
    )
    assert torch.equal(both[0, 8:], model.generate(text, max_new_tokens=8, do_sample=False)[0, 5:])


def test_packed_texts_do_not_see_each_other():
    model, a, b = tiny().double(), ids(1, 4), ids(1, 6, seed=2)
    packed = model(
        torch.cat((a, b), 1), position_ids=torch.tensor([[*range(4), *range(6)]]), use_cache=False
    ).logits
    torch.testing.assert_close(packed[:, :4], model(a).logits, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(packed[:, 4:], model(b).logits, rtol=1e-10, atol=1e-10)


def test_embeddings_are_read_like_ids():
    model, tokens = tiny(), ids(2, 6)
    embeds = model.get_input_embeddings()(tokens)
    assert torch.equal(model(inputs_embeds=embeds).logits, model(tokens).logits)
    said = model.generate(inputs_embeds=embeds, max_new_tokens=6, do_sample=False)
    assert torch.equal(said, model.generate(tokens, max_new_tokens=6, do_sample=False)[:, 6:])


def test_the_loss_is_that_of_the_next_token_where_labels_ask_for_it():
    model, tokens = tiny(), ids(2, 6)
    labels = tokens.clone()
    labels[:, :3] = -100
    out = model(tokens, labels=labels)
    expected = torch.nn.functional.cross_entropy(
        out.logits[:, 2:-1].reshape(-1, 61), tokens[:, 3:].reshape(-1)
    )
    torch.testing.assert_close(out.loss, expected)


def test_only_the_logits_asked_for_are_made():
    model, tokens = tiny(), ids(2, 6)
    every = model(tokens).logits
    assert torch.equal(model(tokens, logits_to_keep=2).logits, every[:, -2:])
    assert torch.equal(model(tokens, logits_to_keep=torch.tensor([0, 3])).logits, every[:, [0, 3]])


def test_hidden_states_are_the_raw_stream_between_blocks():
    model = tiny()
    out = model(ids(1, 5), output_hidden_states=True)
    assert len(out.hidden_states) == 5
    assert torch.equal(model.lm_head(model.model.norm(out.hidden_states[-1])), out.logits)


def test_gradient_checkpointing_gives_the_same_gradients():
    gradients = []
    for checkpointing in (False, True):
        model = tiny().train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        model(ids(2, 6), labels=ids(2, 6)).loss.backward()
        gradients.append(model.model.embed_tokens.weight.grad)
    assert torch.equal(*gradients)


def test_it_trains_under_16_bit_autocast():
    for placement in PLACEMENTS:
        model = tiny(placement).train()
        with torch.autocast("cpu", torch.bfloat16):
            model(ids(2, 6), labels=ids(2, 6)).loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"hidden_size": 250, "num_attention_heads": 6},
            "hidden_size must be a multiple of num_attention_heads, got 250 and 6; "
            "the nearest width that fits is 252.",
        ),
        ({"num_attention_heads": 6, "num_key_value_heads": 4, "head_dim": 8}, "fits is 1, 2, 3, 6"),
        ({"head_dim": 33}, "head_dim must be even"),
        ({"norm_placement": "perl"}, "Did you mean 'peri'?"),
        ({"norm_kind": "batchnorm"}, "norm_kind must be one of rmsnorm, layernorm, crmsnorm, got"),
        ({"norm_placement": "mix", "mix_alpha": 1.5}, "mix_alpha is a share of the layers, from 0 to 1"),
        ({"norm_placement": "mix", "num_post_layers": 9}, "between 0 and num_hidden_layers, got 9 and 6"),
        ({"norm_placement": "pre", "num_post_layers": 2}, "'pre' has 0, got 2"),
        ({"num_hidden_layers": 0}, "num_hidden_layers must be at least 1, got 0"),
        ({"norm_placment": "pre"}, "no field 'norm_placment'. Did you mean 'norm_placement'?"),
        ({"hidden_act": "gelu_pytorch"}, "Did you mean 'gelu_pytorch_tanh'?"),
        ({"qk_norm": "heads"}, "qk_norm must be one of False, True, head, projection, got 'heads'. Did you"),
        ({"positions": "alibi"}, "positions must be one of rope, learned, got 'alibi'"),
        ({"layer_types": ["full_attention"]}, "layer_types must name each of the 6 layers"),
        ({"layer_types": ["sliding_attention"] * 6}, "go together, got sliding_window None"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rope_type must be one of default,"),
        (
            {"rope_theta": 5e4, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
            "rope_theta is 50000.0 and in rope_parameters 10000.0; give it in one place",
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "default"}}, "sliding_window": 4},
            "rope_parameters must have an entry for each kind of layer: sliding_attention",
        ),
    ],
)
def test_a_config_that_does_not_fit_says_what_would(fields, message):
    with pytest.raises(ConfigError) as caught:
        BackboneConfig(**fields)
    assert message in caught.value.message


def test_a_checkpoint_of_another_shape_is_told_by_its_tensor(tmp_path):
    tiny().save_pretrained(tmp_path)
    other = BackboneConfig(**{**tiny().config.to_dict(), "intermediate_size": 64})
    with pytest.raises(ConfigError) as caught:
        AutoModelForCausalLM.from_pretrained(tmp_path, config=other)
    assert caught.value.message == (
        "Tensor model.layers.0.mlp.down_proj.weight is of shape (32, 48) in the checkpoint, "
        "and by the config (32, 64)."
    )


def test_one_mask_for_two_kinds_of_layers_is_an_error():
    model = tiny(sliding_window=3, layer_types=["full_attention", "sliding_attention"] * 2)
    mask = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    with pytest.raises(InputError, match="one for each of full_attention, sliding_attention"):
        model(ids(1, 4), attention_mask=mask)
    both = {"full_attention": mask.tril(), "sliding_attention": mask.tril().triu(-2)}
    torch.testing.assert_close(model(ids(1, 4), attention_mask=both).logits, model(ids(1, 4)).logits)


def test_ids_and_embeddings_at_once_are_an_error():
    with pytest.raises(InputError, match="either input_ids or inputs_embeds"):
        tiny()(ids(1, 3), inputs_embeds=torch.zeros(1, 3, 32))
