"""What soft tokens may depend on, and what they may not."""

import pytest
import torch

from gpt4video.errors import ConfigError, InputError
from gpt4video.models import Abstractor, AbstractorConfig

T, N, C, L = 5, 6, 12, 20


def tiny(**fields: object) -> Abstractor:
    torch.manual_seed(0)
    settings = {
        "encoder_width": C,
        "grid": (2, 3),
        "language_width": L,
        "width": 32,
        "num_layers": 2,
        "num_heads": 2,
        "num_queries": 3,
        "mlp_width": 48,
    }
    return Abstractor(AbstractorConfig(**{**settings, **fields})).double().eval()


@pytest.fixture
def patches() -> torch.Tensor:
    return torch.randn(2, T, N, C, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture
def times() -> torch.Tensor:
    return torch.tensor([[0, 0.25, 0.5, 0.75, 1], [0, 0.4, 0.5, 1.5, 2]]).double()


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-9, atol=1e-9)  # 64-bit sums in another order


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_video_becomes_q_plus_one_tokens_whatever_its_length(patches, times, frames):
    model = tiny()
    assert model(patches[:, :frames], times[:, :frames]).shape == (2, 4, L) == (2, model.num_tokens, L)


def test_frames_are_known_by_their_times_and_not_by_their_order(patches, times):
    model, order = tiny(frame_differences=False), torch.tensor([3, 0, 4, 1, 2])
    assert close(model(patches, times), model(patches[:, order], times[:, order]))


@pytest.mark.parametrize("differences", [True, False])
def test_the_time_of_a_frame_changes_what_is_seen(patches, times, differences):
    model = tiny(frame_differences=differences)
    for moved in (times + 0.5, times * 2, times[:, [0, 1, 2, 4, 3]]):
        assert not torch.allclose(model(patches, times), model(patches, moved), atol=1e-4)


def test_a_video_played_backwards_is_another_video(patches, times):
    model = tiny()
    assert not torch.allclose(model(patches, times), model(patches.flip(1), times), atol=1e-4)


def test_where_a_patch_is_changes_what_is_seen(patches, times):
    model = tiny()
    assert not torch.allclose(model(patches, times), model(patches.flip(2), times), atol=1e-4)


@pytest.mark.parametrize("differences", [True, False])
def test_frames_that_are_not_there_do_not_matter(patches, times, differences):
    model = tiny(frame_differences=differences)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    filled, late = patches.clone(), times.clone()
    filled[1, 3:], late[1, 3:] = torch.nan, 1e6
    soft = model(filled, late, mask)
    assert close(soft[1:], model(patches[1:, :3], times[1:, :3]))
    assert close(soft[:1], model(patches[:1], times[:1]))


def test_a_frame_after_a_gap_carries_no_change(patches, times):
    model, mask = tiny(), torch.tensor([[False, True, True, True, True]] * 2)
    assert close(model(patches, times, mask), model(patches[:, 1:], times[:, 1:]))


def test_every_weight_learns_and_16_bit_autocast_works(patches, times):
    for differences in (True, False):
        model = tiny(frame_differences=differences).float()
        with torch.autocast("cpu", torch.bfloat16):
            soft = model(patches.bfloat16(), times.float(), torch.ones(2, T, dtype=torch.bool))
            soft.float().square().sum().backward()
        for name, weight in model.named_parameters():
            assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad.any(), name


def test_saved_and_opened_again_it_is_the_same(patches, times, tmp_path):
    model = tiny().float()
    model.save_pretrained(tmp_path)
    again = Abstractor.from_pretrained(tmp_path)
    assert again.config == model.config
    assert torch.equal(again(patches.float(), times.float()), model(patches.float(), times.float()))


def test_a_folder_that_is_not_one_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"it has no config\.json"):
        Abstractor.from_pretrained(tmp_path)
    tiny().save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"num_queries": 3', '"num_queries": 4'))
    with pytest.raises(ConfigError, match="does not fit its config"):
        Abstractor.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(text.replace("num_queries", "num_querys"))
    with pytest.raises(ConfigError, match="Did you mean 'num_queries'"):
        Abstractor.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        Abstractor.from_pretrained(tmp_path)


def test_shapes_and_configs_that_do_not_fit_say_what_would(patches, times):
    with pytest.raises(InputError, match=r"patches must be \(B, T, 6, 12\), got \(2, 5, 6, 11\)"):
        tiny()(patches[..., 1:], times)
    with pytest.raises(InputError, match=r"times must be \(B, T\) = \(2, 5\), got \(2, 4\)"):
        tiny()(patches, times[:, 1:])
    with pytest.raises(ConfigError, match="nearest width that fits is 252"):
        AbstractorConfig(width=250, num_heads=6)
