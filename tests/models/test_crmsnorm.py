"""The same function with RMSNorm inside: real classes made tiny, every parameter re-drawn.

Errors are the largest difference from the original by the largest number of the original, in 64 bits.
"""

from copy import deepcopy

import pytest
import torch
from open_clip.transformer import TextTransformer, VisionTransformer
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    LlavaConfig,
    LlavaForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from gpt4video.errors import ConfigError
from gpt4video.models import BackboneConfig, BackboneForCausalLM
from gpt4video.models.clip import ClipEncoder, make_clip
from gpt4video.models.crmsnorm import convert_norms

KINDS = ("rmsnorm", "crmsnorm")
CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 48, "layers": 3, "head_width": 12},
    "text_cfg": {"context_length": 9, "vocab_size": 40, "width": 32, "heads": 4, "layers": 3},
}
PIXELS = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
IDS = torch.randint(0, 39, (3, 9), generator=torch.Generator().manual_seed(2))
IDS[:, -1] = 39
SMALL = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
VISION = CLIPVisionConfig(**SMALL, image_size=32, patch_size=8, projection_dim=24)
TEXT = CLIPTextConfig(
    **SMALL, vocab_size=40, max_position_embeddings=9, projection_dim=24, eos_token_id=39, bos_token_id=0
)
GPT2 = {
    "vocab_size": 40,
    "n_positions": 16,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 4,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
}
VIT = ViTConfig(**SMALL, image_size=32, patch_size=8, hidden_dropout_prob=0.0, num_labels=7)
BACKBONE = {**SMALL, "vocab_size": 40, "num_key_value_heads": 2, "norm_kind": "layernorm"}


def drawn(model, seed=0):
    """The model with every parameter drawn afresh: norms and biases far from where they start."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        fan = parameter[0].numel() if parameter.ndim > 1 else 1
        norm = parameter.ndim == 1 and name.endswith("weight")
        table = "embed" in name or "wte" in name or "wpe" in name
        new = 1 + 0.3 * noise if norm else 0.3 * noise if fan == 1 or table else noise / fan**0.5
        parameter.data.copy_(new)
    return model.eval()


def clip(**vision):
    return make_clip({**CLIP, "vision_cfg": {**CLIP["vision_cfg"], **vision}})


def pixels_like(model):
    return PIXELS.to(next(model.parameters()).dtype)


MODELS = {
    "open_clip image": (lambda: clip().visual, lambda m: [m(pixels_like(m))]),
    "open_clip image, scaled branches": (
        lambda: clip(ls_init_value=0.5).visual,
        lambda m: [m(pixels_like(m))],
    ),
    "open_clip image, no first norm, mean": (
        lambda: clip(no_ln_pre=True, pool_type="avg", output_tokens=True).visual,
        lambda m: m(pixels_like(m)),
    ),
    "open_clip image, norm after pooling": (
        lambda: clip(final_ln_after_pool=True, pool_type="avg").visual,
        lambda m: [m(pixels_like(m))],
    ),
    "open_clip image, every block": (
        lambda: clip().visual,
        lambda m: m.forward_intermediates(pixels_like(m), normalize_intermediates=True)[
            "image_intermediates"
        ],
    ),
    "open_clip text": (
        lambda: TextTransformer(9, 40, 32, 4, 3, output_dim=24, ls_init_value=0.5),
        lambda m: [m(IDS)],
    ),
    "open_clip text, class token and padding mask": (
        lambda: TextTransformer(8, 40, 32, 4, 3, embed_cls=True, no_causal_mask=True, use_pad_mask=True),
        lambda m: [m(IDS[:, :8])],
    ),
    "open_clip": (clip, lambda m: [m.encode_image(pixels_like(m)), m.encode_text(IDS)]),
    "CLIP image": (
        lambda: CLIPVisionModelWithProjection(VISION),
        lambda m: [m(pixels_like(m)).image_embeds],
    ),
    "CLIP image, no projection": (
        lambda: CLIPVisionModel(VISION),
        lambda m: [m(pixels_like(m)).pooler_output],
    ),
    "CLIP text": (
        lambda: CLIPTextModelWithProjection(TEXT),
        lambda m: [m(IDS).text_embeds, m(IDS).last_hidden_state],
    ),
    "CLIP text, eager": (
        lambda: CLIPTextModel._from_config(TEXT, attn_implementation="eager"),
        lambda m: [m(IDS).last_hidden_state],
    ),
    "CLIP": (
        lambda: CLIPModel(
            CLIPConfig(projection_dim=24, text_config=TEXT.to_dict(), vision_config=VISION.to_dict())
        ),
        lambda m: list(m(IDS, pixels_like(m)).to_tuple()[2:4]),  # text_embeds and image_embeds
    ),
    "GPT-2": (lambda: GPT2Model(GPT2Config(**GPT2)), lambda m: [m(IDS).last_hidden_state]),
    "GPT-2 with a tied head": (
        lambda: GPT2LMHeadModel(GPT2Config(**GPT2)),
        lambda m: [m(IDS).logits, m(inputs_embeds=m.transformer.wte(IDS)).logits],
    ),
    "ViT": (lambda: ViTModel(VIT), lambda m: list(m(pixels_like(m)).to_tuple())),
    "ViT with a head": (lambda: ViTForImageClassification(VIT), lambda m: [m(pixels_like(m)).logits]),
    "our backbone": (
        lambda: BackboneForCausalLM(BackboneConfig(**BACKBONE, norm_placement="pre")),
        lambda m: [m(IDS).logits],
    ),
    "our backbone, damped": (
        lambda: BackboneForCausalLM(
            BackboneConfig(**BACKBONE, norm_placement="lns", mlp_kind="plain", positions="learned")
        ),
        lambda m: [m(IDS).logits],
    ),
}


def error(found, expected):
    return max(
        float((a.double() - b.double()).abs().max() / b.double().abs().max())
        for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_the_converted_model_is_the_same_function(name):
    make, run = MODELS[name]
    original = drawn(make())
    double = deepcopy(original).double()
    single, exact = run(original), run(double)
    assert all(float(out.std()) > 0.05 for out in exact), "a test of nothing"
    for kind in KINDS:
        assert error(run(convert_norms(deepcopy(double), kind)), exact) < 1e-12
        assert error(run(convert_norms(deepcopy(original), kind)), single) < 1e-5


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_16_bits_cost_it_no_more_than_the_original(name):
    make, run = MODELS[name]
    model = make()
    errors = dict.fromkeys(("original", *KINDS), 0.0)
    for seed in range(4):  # one draw's rounding says little
        original = drawn(model, seed)
        exact = run(original)
        errors["original"] += error(run(deepcopy(original).bfloat16()), exact)
        for kind in KINDS:
            errors[kind] += error(run(convert_norms(deepcopy(original), kind).bfloat16()), exact)
    assert all(errors[kind] < 1.5 * errors["original"] for kind in KINDS), errors


@torch.no_grad()
def test_nothing_that_centres_is_left_in_the_blocks():
    model = convert_norms(clip(), "rmsnorm")
    for block in [*model.visual.transformer.resblocks, *model.transformer.resblocks]:
        assert not any(isinstance(module, torch.nn.LayerNorm) for module in block.modules())
        assert not any(name.endswith("ln_1.weight") for name, _ in block.named_parameters())


@torch.no_grad()
def test_the_compressed_stream_has_a_channel_less():
    model = convert_norms(drawn(CLIPVisionModel(VISION)), "crmsnorm")
    widths = []
    for layer in model.encoder.layers:
        layer.register_forward_hook(lambda module, args, out: widths.append(out.shape[-1]))
    assert model(PIXELS.float()).pooler_output.shape[-1] == 48
    assert widths == [47] * 3


@torch.no_grad()
def test_generation_with_a_cache_goes_on_as_before():
    model = drawn(GPT2LMHeadModel(GPT2Config(**GPT2)))
    asked = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    before = model.generate(IDS[:1], **asked)
    for kind in KINDS:
        assert torch.equal(convert_norms(deepcopy(model), kind).generate(IDS[:1], **asked), before)


@pytest.mark.parametrize("layer", ["last", "penultimate", "antepenultimate"])
@torch.no_grad()
def test_the_eyes_see_the_same_in_every_layer_they_can_be_told_to_read(layer):
    torch.manual_seed(0)
    model = drawn(clip()).double()
    pixels = PIXELS
    before = ClipEncoder(model, layer).look(pixels)
    for kind in KINDS:
        after = ClipEncoder(convert_norms(deepcopy(model), kind), layer).look(pixels)
        assert error(after, before) < 1e-12


REFUSED = {
    "there is nothing to convert": lambda: BackboneForCausalLM(
        BackboneConfig(**{**BACKBONE, "norm_kind": "rmsnorm"}, norm_placement="pre")
    ),
    "with norm_placement post a norm's own output": lambda: BackboneForCausalLM(
        BackboneConfig(**BACKBONE, norm_placement="post")
    ),
    "with norm_placement peri a norm's own output": lambda: BackboneForCausalLM(
        BackboneConfig(**BACKBONE, norm_placement="peri")
    ),
    "with norm_placement mix a norm's own output": lambda: BackboneForCausalLM(
        BackboneConfig(**BACKBONE, norm_placement="mix")
    ),
    "resid_pdrop is 0.1": lambda: GPT2LMHeadModel(GPT2Config(**{**GPT2, "resid_pdrop": 0.1})),
    "hidden_dropout_prob is 0.2": lambda: ViTModel(ViTConfig(**SMALL, hidden_dropout_prob=0.2)),
    "its branches end in a norm": lambda: (
        clip(block_type="custom", scale_attn=True, width=48, layers=2).visual
    ),
    "BertModel is no Pre-LN model that is known here": lambda: BertModel(BertConfig(**SMALL, vocab_size=9)),
    "output_hidden_states reads the raw residual stream": lambda: CLIPVisionModel(
        CLIPVisionConfig(**SMALL, image_size=32, patch_size=8, output_hidden_states=True)
    ),
    r"hidden_states\[-2\], reads the raw residual stream": lambda: LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=VISION,
            text_config={"model_type": "llama", **SMALL, "vocab_size": 40},
            vision_feature_layer=-2,
        )
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_has_no_equal_is_refused_with_the_reason_and_left_as_it_was(reason):
    model = REFUSED[reason]()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ConfigError, match=reason):
        convert_norms(model, "rmsnorm")
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


def test_a_model_is_not_converted_twice():
    with pytest.raises(ConfigError, match="there is nothing to convert"):
        convert_norms(convert_norms(clip()))


@torch.no_grad()
def test_the_raw_stream_of_a_converted_model_cannot_be_tapped_by_mistake():
    vision = convert_norms(drawn(CLIPVisionModelWithProjection(VISION)))
    with pytest.raises(ConfigError, match="output_hidden_states reads the raw residual stream"):
        vision(PIXELS.float(), output_hidden_states=True)
    assert vision(PIXELS.float()).last_hidden_state is None
    gpt2 = convert_norms(drawn(GPT2LMHeadModel(GPT2Config(**GPT2))))
    with pytest.raises(ConfigError, match="Read what comes after the last norm"):
        gpt2(IDS, output_hidden_states=True)
    model = convert_norms(clip())
    with pytest.raises(ConfigError, match="normalize_intermediates=True"):
        model.forward_intermediates(text=IDS)
    visual = model.visual
    for tower in (visual, deepcopy(visual)):
        with pytest.raises(ConfigError, match="normalize_intermediates=True"):
            tower.forward_intermediates(PIXELS.float())
        assert tower.forward_intermediates(PIXELS.float(), normalize_intermediates=True)


@torch.no_grad()
def test_the_tap_that_is_refused_would_have_given_other_numbers():
    """What the converted model has there is the centred original: percents away, by the mean."""
    model = drawn(CLIPVisionModel(VISION)).double()
    raw = model(PIXELS, output_hidden_states=True).hidden_states[-2]
    streams = []
    converted = convert_norms(deepcopy(model))
    converted.encoder.layers[-2].register_forward_hook(lambda module, args, out: streams.append(out))
    converted(PIXELS)
    assert error(streams, [raw - raw.mean(-1, keepdim=True)]) < 1e-12
    assert error(streams, [raw]) > 1e-2


def test_an_unknown_kind_is_one_clear_error():
    with pytest.raises(ConfigError, match="kind must be rmsnorm or crmsnorm, got 'rms'"):
        convert_norms(clip(), "rms")


def test_the_image_towers_classes_are_those_of_open_clip():
    assert isinstance(clip().visual, VisionTransformer)
