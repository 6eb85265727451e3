"""The latents after training: in another basis, decoded as before; and the decoder that goes on alone."""

import pytest
import torch

from gpt4video.training.loop import LoopConfig, Randomness
from gpt4video.training.stages.vae import VaeConfig, VaeTask, to_tensor, train, weights_of, whiten


@pytest.fixture(scope="module")
def task():
    return VaeTask(VaeConfig(channels=(8, 8, 16, 16), scenes=8), trained=None)


@torch.no_grad()
def test_whitening_changes_the_latents_and_not_the_pictures(task):
    vae, pixels = task.vae.eval(), to_tensor(task.batch(Randomness.of(0, 0))[0])
    before = vae.decode(vae.encode(pixels).latent_dist.mean).sample
    whiten(vae, pixels)
    latents = vae.encode(pixels).latent_dist.mean
    torch.testing.assert_close(vae.decode(latents).sample, before, atol=1e-4, rtol=0)
    assert vae.config.scaling_factor == 1.0
    spread = torch.cov(latents.movedim(1, 0).flatten(1))
    assert spread.diagonal().max() < 2, "no direction outweighs the others"


def test_objects_count_more_than_what_is_plain():
    latents = torch.zeros(1, 2, 4, 4)
    latents[0, 1, 2, 3] = 2.0
    weights = weights_of(latents, 4.0)
    assert weights[0, 0, 2, 3] == 4
    assert weights.sum() == 4 + 15


def test_the_decoder_goes_on_and_the_latents_stay(tmp_path):
    loop = LoopConfig(steps=2, warmup=1, log_every=1)
    small = {"channels": (8, 8, 16, 16), "scenes": 2, "loop": loop}
    path = tmp_path / "out" / "pipeline" / "vae"
    train(VaeConfig(**small), tmp_path / "whole", tmp_path / "out")
    first = VaeTask(VaeConfig(kind="decoder"), path).vae
    train(VaeConfig(**small, kind="decoder", noise=0.3), tmp_path / "decoder", tmp_path / "out")
    second = VaeTask(VaeConfig(kind="decoder"), path).vae
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = (v.encode(pixels).latent_dist.mean for v in (first, second))
        assert torch.equal(ours, theirs)
        assert not torch.equal(first.decode(ours).sample, second.decode(ours).sample)
    assert str(tmp_path) not in (path / "config.json").read_text()


def test_a_step_of_the_decoder_does_not_touch_the_encoder(tmp_path):
    train(VaeConfig(channels=(8, 8, 16, 16), scenes=2, loop=LoopConfig(steps=1)), tmp_path, tmp_path / "out")
    task = VaeTask(VaeConfig(kind="decoder", scenes=2, noise=0.3), tmp_path / "out" / "pipeline" / "vae")
    task.loss(task.batch(Randomness.of(0, 0)))[0].backward()
    assert all(p.grad is None for p in task.vae.encoder.parameters())
    assert all(p.grad is not None for p in task.vae.decoder.parameters())
