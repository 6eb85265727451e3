"""Rotary angles beside those of transformers' own models, learned rows, scaled embeddings."""

import pytest
import torch
from transformers import Gemma3TextConfig, LlamaConfig
from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from gpt4video.models import BackboneConfig
from gpt4video.models.positions import LearnedPositions, RotaryEmbedding, ScaledEmbedding

FAR = torch.tensor([[0, 1, 77, 1000, 30_000, 131_071]])
ROPES = [
    {"rope_type": "default", "rope_theta": 5e5},
    {"rope_type": "linear", "rope_theta": 1e4, "factor": 8.0},
    {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 32768},
    {
        "rope_type": "llama3",
        "rope_theta": 5e5,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
]


def plain(angles):
    """Cosines and sines as transformers keeps them: without a dimension for heads and without signs."""
    cos, sin = (values[:, 0] for values in angles)
    half = sin.shape[-1] // 2
    return cos, torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)


@pytest.mark.parametrize("rope", ROPES, ids=lambda rope: rope["rope_type"])
def test_angles_are_transformers_own_to_the_last_digit_however_far(rope):
    sizes = {"hidden_size": 512, "num_attention_heads": 4, "max_position_embeddings": 131_072}
    ours = RotaryEmbedding(BackboneConfig(**sizes, rope_parameters=dict(rope)))(FAR, torch.float32)
    theirs = LlamaRotaryEmbedding(LlamaConfig(**sizes, rope_parameters=dict(rope)))(torch.ones(1), FAR)
    for mine, other in zip(plain(ours), theirs, strict=True):
        assert torch.equal(mine, other)


def test_each_kind_of_layer_has_its_own_angles():
    sizes = {"hidden_size": 512, "num_attention_heads": 4, "head_dim": 128, "num_hidden_layers": 2}
    ropes = {"sliding_attention": ROPES[0], "full_attention": ROPES[1]}
    layers = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 512}
    theirs = Gemma3RotaryEmbedding(Gemma3TextConfig(**sizes, **layers, rope_parameters=dict(ropes)))
    config = BackboneConfig(**sizes, **layers, rope_parameters=ropes)
    ours = RotaryEmbedding(config)
    assert config.rope_differs
    for kind in ropes:
        for mine, other in zip(
            plain(ours(FAR, torch.float32, kind)), theirs(torch.ones(1), FAR, kind), strict=True
        ):
            assert torch.equal(mine, other)


def test_theta_alone_is_the_same_but_for_the_last_digit():
    # The shipped checkpoint was trained and measured with the power itself; it stays as it is.
    config = BackboneConfig(rope_theta=5e5)
    assert config.rope_parameters is None
    alone = RotaryEmbedding(config)(FAR[:, :3], torch.float32)
    said = RotaryEmbedding(BackboneConfig(rope_parameters=ROPES[0]))(FAR[:, :3], torch.float32)
    for mine, other in zip(alone, said, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)


def test_angles_are_exact_whatever_the_model_was_cast_to():
    rotary = RotaryEmbedding(BackboneConfig())
    expected = rotary(FAR, torch.float32)
    assert torch.equal(rotary.to(torch.bfloat16)(FAR, torch.float32)[0], expected[0])


def test_learned_rows_are_added_where_a_token_stands():
    table = LearnedPositions(8, 4)
    x = torch.randn(2, 3, 4)
    assert torch.equal(table(x, torch.tensor([[2, 3, 4]])), x + table.weight[2:5])


def test_the_embedding_scale_is_rounded_as_the_weights_are():
    # Gemma: 3584^1/2 is 59.866, and 59.75 in bfloat16.
    embed = ScaledEmbedding(5, 4, embed_scale=3584**0.5).to(torch.bfloat16)
    ids = torch.tensor([[1, 2]])
    assert torch.equal(embed(ids), embed.weight[ids] * torch.tensor(59.75, dtype=torch.bfloat16))
