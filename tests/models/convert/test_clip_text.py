"""The converted text tower beside the one it came from."""

import pytest
import torch
from transformers import CLIPTextModel

from gpt4video.errors import ConfigError
from gpt4video.models.clip import make_clip
from gpt4video.models.convert import to_hf_text_model

EOS, PAD = 9, 0


def tiny(quick_gelu: bool = False, custom_text: bool = False, **text: object) -> torch.nn.Module:
    torch.manual_seed(0)
    settings = {
        "context_length": 8,
        "vocab_size": 12,
        "width": 32,
        "heads": 4,
        "layers": 3,
        "pool_type": "eos",
        "eos_id": EOS,
    }
    model = make_clip(
        {
            "embed_dim": 24,
            "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
            "text_cfg": {**settings, **text},
            "quick_gelu": quick_gelu,
            "custom_text": custom_text,
        }
    )
    for weight in model.parameters():  # norms and biases too: fresh ones would hide a swap
        torch.nn.init.normal_(weight, mean=0.1, std=0.2)
    return model.eval()


@pytest.fixture
def ids() -> torch.Tensor:
    # Words above the end token, and more end tokens as padding: where reading the highest id would go wrong.
    return torch.tensor([[1, 4, 11, EOS, PAD, PAD, PAD, PAD], [1, 10, EOS, EOS, EOS, EOS, EOS, EOS]])


def tower_states(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    text = getattr(model, "text", model)
    x = text.token_embedding(ids) + text.positional_embedding
    return text.ln_final(text.transformer(x, attn_mask=text.attn_mask))


@pytest.mark.parametrize("custom_text", [False, True])
@pytest.mark.parametrize("quick_gelu", [False, True])
@torch.no_grad()
def test_the_converted_tower_says_the_same(ids, quick_gelu, custom_text, tmp_path):
    model = tiny(quick_gelu, custom_text)
    to_hf_text_model(model, EOS, bos_id=1, pad_id=PAD).save_pretrained(tmp_path)
    converted = CLIPTextModel.from_pretrained(tmp_path)
    out = converted(ids)
    # 32-bit sums in another order, of values near 1.
    torch.testing.assert_close(out.last_hidden_state, tower_states(model, ids), rtol=1e-5, atol=1e-5)
    projection = getattr(model, "text", model).text_projection
    torch.testing.assert_close(out.pooler_output @ projection, model.encode_text(ids), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_it_says_the_same_to_the_last_digits_of_64_bits(ids):
    model = tiny().double()
    out = to_hf_text_model(model, EOS)(ids)
    torch.testing.assert_close(out.last_hidden_state, tower_states(model, ids), rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_a_tower_that_pools_at_the_highest_id_converts_when_that_is_the_end_token(ids):
    model = tiny(pool_type="argmax")
    ids = ids.masked_fill(ids == 11, 5).masked_fill(ids == EOS, 11)
    out = to_hf_text_model(model, 11)(ids)
    torch.testing.assert_close(out.pooler_output @ model.text_projection, model.encode_text(ids))


def test_the_conversion_shares_no_memory_with_its_source():
    model = tiny()
    converted = to_hf_text_model(model, EOS)
    before = converted.final_layer_norm.weight.clone()
    model.ln_final.weight.data.zero_()
    assert torch.equal(converted.final_layer_norm.weight, before)


@pytest.mark.parametrize(
    ("text", "eos_id", "message"),
    [
        ({}, 7, "eos_id must be 9"),
        ({"eos_id": 2}, 2, "eos_id must not be 2"),
        ({"pool_type": "argmax"}, EOS, "eos_id must be 11"),
        ({"pool_type": "last"}, EOS, "pools 'last'"),
        ({"no_causal_mask": True}, EOS, "Only causal text towers"),
        ({"ls_init_value": 0.1}, EOS, "plain text blocks"),
    ],
)
def test_towers_that_cannot_be_said_exactly_are_refused(text, eos_id, message):
    with pytest.raises(ConfigError, match=message):
        to_hf_text_model(tiny(custom_text=True, **text), eos_id)
