"""What the drawer's stage does to its words and its noise levels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from gpt4video.errors import InputError
from gpt4video.shapes.render import NUM_FRAMES
from gpt4video.shapes.world import DRAWN
from gpt4video.training.stages import drawer
from gpt4video.training.stages.drawer import (
    DrawerStage,
    InBFloat16,
    Latents,
    LogVariance,
    even_out,
    make_unet,
    with_motion,
)
from gpt4video.training.stages.vae import VaeConfig, make_vae

STAGE = DrawerStage(kind="motion", channels=(32, 64))


def drawn(seed: int, clips: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noised latents, noise levels, and states of the words for each frame."""
    generator = torch.Generator().manual_seed(seed)
    noised = torch.randn(clips, 8, NUM_FRAMES, 8, 8, generator=generator)
    times = torch.randint(0, 1000, (clips,), generator=generator)
    return noised, times, torch.randn(clips * NUM_FRAMES, 6, 16, generator=generator)


def unet() -> torch.nn.Module:
    torch.manual_seed(0)
    made = with_motion(make_unet(STAGE, 8, 16), STAGE).train()
    for parameter in made.parameters():  # motion modules start out doing nothing
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return made


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """How far one is from the other, by the other's length."""
    return float(((one.float() - other).norm() / other.norm()).detach())


def slopes(model: torch.nn.Module, velocity: torch.Tensor) -> torch.Tensor:
    model.zero_grad(set_to_none=True)
    velocity.float().square().mean().backward()
    return torch.cat([p.grad.flatten().clone() for p in model.parameters()])


def test_weights_in_bfloat16_see_and_learn_nearly_the_same() -> None:
    model, given = unet(), drawn(1)
    exact = model(*given).sample
    rough = InBFloat16(model)(*given)
    assert rough.dtype == torch.bfloat16
    assert 0 < apart(rough, exact) < 0.05
    assert apart(slopes(model, rough), slopes(model, exact)) < 0.05
    assert all(p.dtype == torch.float32 for p in model.parameters())


@pytest.mark.gpu
def test_a_recorded_step_is_the_step() -> None:
    model = unet().cuda()
    plain = InBFloat16(model)
    given = tuple(t.cuda() for t in drawn(1))
    recorded = torch.cuda.make_graphed_callables(InBFloat16(model), tuple(t.clone() for t in given))
    for seed in (2, 3):
        given = tuple(t.cuda() for t in drawn(seed))
        right = plain(*given)
        wanted = slopes(model, right)
        assert apart(recorded(*given), right.float()) < 0.02
        assert apart(slopes(model, recorded(*given)), wanted) < 0.02


@pytest.mark.parametrize("workers", [0, 2])
def test_latents_are_the_same_whoever_draws_them(monkeypatch, tmp_path, workers) -> None:
    monkeypatch.setattr(drawer, "BATCH", 4)
    monkeypatch.setattr(drawer, "ENCODED", 2)
    torch.manual_seed(0)
    vae = make_vae(VaeConfig(channels=(8, 8, 16, 16))).eval()
    first = Latents.make(vae, 4, DRAWN, tmp_path, workers)
    more = Latents.make(vae, 8, DRAWN, tmp_path, workers)
    assert len(more.scenes) == 8 and more.values.shape == (8, NUM_FRAMES, 8, 8, 8)
    assert more.scenes[:4] == first.scenes and (more.values[:4] == first.values).all()
    again = Latents.make(vae, 8, DRAWN, tmp_path / "elsewhere")
    assert again.scenes == more.scenes and (again.values == more.values).all()
    three = Latents.make(vae, 4, DrawerStage(counts=(0, 0, 2)).mix, tmp_path)
    assert {len(scene.things) for scene in three.scenes} == {3}, "not those of another mix"


@pytest.mark.parametrize("counts", [(0, 0, 0), (1, -0.5, 0)])
def test_shares_that_cannot_be_are_refused(counts) -> None:
    with pytest.raises(InputError, match="counts"):
        DrawerStage(counts=counts)


@pytest.fixture
def text() -> CLIPTextModel:
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=12,
        eos_token_id=49,
    )
    model = CLIPTextModel(config).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def test_evened_states_are_the_old_ones_without_what_prompts_have_in_common(text: CLIPTextModel) -> None:
    ids = torch.randint(1, 49, (64, 12), generator=torch.Generator().manual_seed(1))
    before = text(ids).last_hidden_state
    mean, scale = even_out(text, before)
    after = text(ids).last_hidden_state
    torch.testing.assert_close(mean + scale * after, before, rtol=1e-4, atol=1e-4)
    assert after.mean((0, 1)).abs().max() < 1e-4
    spread = after.mean(1).std(0)
    assert spread.max() / spread.min() < 1.001
    assert float(after.square().mean()) == pytest.approx(1.0, abs=1e-3)


@torch.no_grad()
def test_a_saved_text_encoder_gives_evened_states(text: CLIPTextModel, tmp_path: Path) -> None:
    ids = torch.randint(1, 49, (16, 12), generator=torch.Generator().manual_seed(2))
    even_out(text, text(ids).last_hidden_state)
    text.save_pretrained(tmp_path)
    again = CLIPTextModel.from_pretrained(tmp_path)
    torch.testing.assert_close(again(ids).last_hidden_state, text(ids).last_hidden_state)


def test_log_variance_learns_how_large_the_loss_is_at_each_level() -> None:
    spread, generator = LogVariance(), torch.Generator().manual_seed(3)
    optimizer = torch.optim.Adam(spread.parameters(), 0.02)

    def size(times: torch.Tensor) -> torch.Tensor:
        return torch.where(times > 500, 0.4, 0.05)

    for _ in range(400):
        times = torch.randint(0, 1000, (64,), generator=generator)
        guess = spread(times)
        loss = (size(times) / guess.exp() + guess).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learned = spread(torch.tensor([50, 250, 750, 950])).exp()
    torch.testing.assert_close(learned, torch.tensor([0.05, 0.05, 0.4, 0.4]), rtol=0.3, atol=0.0)
