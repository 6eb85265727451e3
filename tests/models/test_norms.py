"""The placements against the papers' equations, written out once more without a table."""

import pytest
import torch
from torch import nn

from gpt4video.models.backbone_config import BackboneConfig
from gpt4video.models.norms import (
    NORMS,
    PLACEMENTS,
    CompressedNorm,
    Placement,
    Residual,
    RMSNorm,
    count_of_post_layers,
    placement_of,
)


def tiny(placement: str, **fields: object) -> BackboneConfig:
    return BackboneConfig(hidden_size=16, num_hidden_layers=8, norm_placement=placement, **fields)


def words(config: BackboneConfig) -> list[Placement]:
    return [placement_of(config, layer) for layer in range(config.num_hidden_layers)]


@pytest.mark.parametrize(
    ("placement", "equation"),
    [
        ("pre", lambda x, f, inner, branch, out: x + f(inner(x))),
        ("post", lambda x, f, inner, branch, out: out(x + f(x))),
        ("peri", lambda x, f, inner, branch, out: x + branch(f(inner(x)))),
        ("output", lambda x, f, inner, branch, out: x + branch(f(x))),
        ("deepnorm", lambda x, f, inner, branch, out: out(2 * x + f(x))),  # 8 layers: (2 * 8)^1/4 = 2
        ("lns", lambda x, f, inner, branch, out: x + f(inner(x) / 3**0.5)),
    ],
)
def test_each_word_is_its_equation(placement, equation):
    torch.manual_seed(0)
    step = Residual(tiny(placement), layer=2).double()
    for norm in step.children():
        if isinstance(norm, RMSNorm):
            nn.init.normal_(norm.weight)
    x, f = torch.randn(2, 3, 16).double(), nn.Linear(16, 16).double()
    said = equation(x, f, step.inner, step.branch, step.out)
    torch.testing.assert_close(step(x, f), said, rtol=1e-14, atol=1e-14)


def test_only_the_norms_a_placement_uses_have_weights():
    counts = {"pre": 1, "post": 1, "peri": 2, "output": 1, "deepnorm": 1, "lns": 1}
    assert {p: len(list(Residual(tiny(p), 0).parameters())) for p in counts} == counts


def test_mix_is_post_in_the_first_quarter_and_pre_after():
    post, pre = placement_of(tiny("post"), 0), placement_of(tiny("pre"), 0)
    assert words(tiny("mix")) == [post] * 2 + [pre] * 6
    assert words(tiny("mix", num_post_layers=5)) == [post] * 5 + [pre] * 3


def test_the_share_is_floored_but_not_its_binary_rounding():
    assert count_of_post_layers(0.29, 100) == 29  # in binary 0.29 * 100 is 28.999999999999996
    assert count_of_post_layers(0.25, 6) == 1
    assert count_of_post_layers(0.0625, 32) == 2


def test_peri_alone_normalises_the_embeddings():
    assert [word for word in PLACEMENTS if tiny(word).embedding_norm] == ["peri"]
    assert not tiny("peri", embedding_norm=False).embedding_norm
    assert tiny("pre", embedding_norm=True).embedding_norm


def test_layernorm_scaling_is_pre_in_the_first_layer_and_damps_with_the_root_of_the_depth():
    pre, lns = tiny("pre"), tiny("lns")
    assert placement_of(lns, 0) == placement_of(pre, 0)
    assert placement_of(lns, 3).damp == 0.5


def test_a_peri_block_does_not_see_the_scale_of_its_branch():
    # What output normalisation is for: a branch may grow a thousandfold and the stream does not notice.
    torch.manual_seed(0)
    x, f = torch.randn(2, 3, 16).double(), nn.Linear(16, 16, bias=False).double()
    peri, pre = (Residual(tiny(p, norm_eps=1e-12), 0).double() for p in ("peri", "pre"))
    torch.testing.assert_close(peri(x, f), peri(x, lambda y: 1000 * f(y)))
    assert not torch.allclose(pre(x, f), pre(x, lambda y: 1000 * f(y)))


def test_rmsnorm_is_torchs_own():
    x = torch.randn(5, 16).double()
    ours, theirs = RMSNorm(16, 1e-6).double(), nn.RMSNorm(16, 1e-6).double()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)


def test_the_compressed_norm_is_the_layernorm_of_one_channel_more():
    torch.manual_seed(0)
    stream = 5 + torch.randn(7, 17).double()
    centred = stream - stream.mean(-1, keepdim=True)
    whole = nn.LayerNorm(17, 1e-6).double()(stream)
    compressed = CompressedNorm(16, 1e-6).double()(centred[:, :-1])
    torch.testing.assert_close(compressed, whole[:, :-1], rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(-compressed.sum(-1), whole[:, -1], rtol=1e-13, atol=1e-13)


def test_only_the_plain_rmsnorm_has_a_name_that_engines_put_their_kernel_in_place_of():
    named = {kind for kind in NORMS if type(NORMS[kind](8, 1e-6)).__name__.endswith("RMSNorm")}
    assert named == {"rmsnorm"}


@pytest.mark.parametrize("kind", ["rmsnorm", "layernorm"])
def test_every_kind_of_norm_gives_mean_square_one(kind):
    y = NORMS[kind](64, 1e-6)(3 + 10 * torch.randn(7, 64))
    torch.testing.assert_close(y.square().mean(-1), torch.ones(7), rtol=1e-4, atol=1e-4)


def test_statistics_of_16_bit_numbers_are_taken_in_32():
    x = torch.full((1, 8), 300.0, dtype=torch.float16)  # 300 squared is beyond float16
    assert RMSNorm(8, 1e-6).half()(x).isfinite().all()
    assert CompressedNorm(8, 1e-6).half()(x).isfinite().all()
