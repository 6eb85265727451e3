"""What the drawer's stage does to its words and its noise levels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from gpt4video.training.stages.drawer import LogVariance, even_out


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
