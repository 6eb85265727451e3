"""The drawer: Stable Diffusion's 2D U-Net on single frames first, then AnimateDiff's motion modules on clips.

`frames`   a UNet2DConditionModel learns what things look like; a frame costs a sixteenth of a clip
`motion`   a UNetMotionModel made of it learns how they move (Guo et al. 2023, arXiv 2307.04725)

Clips are staged (`gpt4video/shapes/staging.py`): the words nearly decide what is drawn.
v-prediction with zero terminal SNR (Lin et al. 2023, arXiv 2305.08891): with the usual schedules the noisiest
step still shows the mean brightness, and a black background comes out grey. Most training steps draw their
time from those that sampling visits, since eight steps visit only eight. Each noise level counts by its own
measure (Karras et al. 2023, arXiv 2312.02696), or the noisiest, where most cannot be known, would have most
of the gradient. Places count alike: with a weight for objects, the mean that is learned is one of scenes with
more of them, and more are drawn.
Suffixes: B batch, T frames, C latent channels, h and w latent height and width.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    DDIMScheduler,
    MotionAdapter,
    UNet2DConditionModel,
    UNetMotionModel,
)
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel

from gpt4video.errors import InputError
from gpt4video.generation import DrawerConfig, PreviewMap
from gpt4video.models.clip import ClipEncoder
from gpt4video.models.convert import to_hf_text_model
from gpt4video.models.tokenizer import load_tokenizer
from gpt4video.shapes.language.describe import paraphrase, prompt
from gpt4video.shapes.render import FPS, NUM_FRAMES, SIDE, render
from gpt4video.shapes.staging import sample_staged, told
from gpt4video.shapes.world import DRAWN, Mix, Scene
from gpt4video.training.data import fingerprint, spread
from gpt4video.training.loop import LoopConfig, Randomness, device, run, sent
from gpt4video.training.stages.vae import to_tensor

BATCH = 500
"""Clips encoded between two writes."""
ENCODED = 10
"""Clips encoded at once."""
FIRST = 8
"""Scenes that tell one set of clips from another."""
FEW, NOISIEST = 2, 2
"""With so few frames of a clip, a step of `motion` sees this many of the noisiest levels."""


@dataclass(frozen=True)
class DrawerStage:
    """Size of the U-Net and how it learns; both stages are one class with other numbers."""

    kind: Literal["frames", "motion"] = "frames"
    """What it learns."""
    channels: tuple[int, ...] = (96, 160)
    """Width at each resolution."""
    layers: int = 1
    """ResNets at each resolution, one more on the way up."""
    heads: int = 4
    """Attention heads."""
    clips: int = 8000
    """Clips whose latents are kept."""
    counts: tuple[float, float, float] = (0.4, 0.35, 0.25)
    """Shares of clips with one, two and three objects; the same in both stages, or each keeps its own."""
    batch: int = 64
    """Frames in a step."""
    strides: tuple[int, ...] = (4, 4, 2, 2, 1)
    """Motion: a step looks at every 4th, 2nd or 1st frame; the fewer frames, the more clips."""
    drop: float = 0.1
    """Share of prompts that are left empty, for classifier-free guidance."""
    steps: int = 8
    """Denoising steps of the pipeline."""
    on_grid: float = 0.7
    """Share of training steps at the times that sampling visits."""
    guidance: float = 3.0
    """Guidance scale of the pipeline."""
    record: bool = False
    """On a GPU, record a step as a CUDA graph, with weights in bfloat16: a U-Net this small is some thousand
    kernels that take longer to start than to run. Motion: only for whole clips, with a stride of 1."""
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=1500, learning_rate=1e-3, ema=0.998))
    """How long and how fast."""

    def __post_init__(self) -> None:
        if min(self.counts) < 0 or not any(self.counts):
            raise InputError(f"counts must be shares of which one is more than 0, got {self.counts}.")

    @property
    def mix(self) -> Mix:
        """What is drawn: two seconds in which nothing comes or goes."""
        one, two, three = (share / sum(self.counts) for share in self.counts)
        return replace(DRAWN, counts=(one, two, three))


def scheduler() -> DDIMScheduler:
    """v-prediction, zero terminal SNR, steps counted from the noisiest.

    The cosine schedule of Nichol and Dhariwal 2021 (arXiv 2102.09672): with Stable Diffusion's, made for
    pictures of 64 times as many latents, three of eight steps see next to nothing and the last one still has
    to take away noise of 0.41.
    """
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def make_unet(stage: DrawerStage, latent_channels: int, text_width: int) -> UNet2DConditionModel:
    """An untrained 2D U-Net."""
    levels = len(stage.channels)
    return UNet2DConditionModel(
        sample_size=SIDE // 8,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=stage.channels,
        layers_per_block=stage.layers,
        down_block_types=("CrossAttnDownBlock2D",) * levels,
        up_block_types=("CrossAttnUpBlock2D",) * levels,
        cross_attention_dim=text_width,
        attention_head_dim=stage.heads,
        norm_num_groups=16,
    )


def with_motion(unet: UNet2DConditionModel, stage: DrawerStage) -> UNetMotionModel:
    """The U-Net with untrained motion modules, which start out doing nothing."""
    adapter = MotionAdapter(
        block_out_channels=stage.channels,
        motion_layers_per_block=stage.layers,
        motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=stage.heads,
        motion_norm_num_groups=16,
        motion_max_seq_length=32,
    )
    return UNetMotionModel.from_unet2d(unet, adapter)


class LogVariance(nn.Module):
    """How large the loss is at each time, as a logarithm: what it is measured by.

    The minimum over `u` of `loss / exp(u) + u` is the loss's own logarithm, and then every time counts 1.
    """

    def __init__(self, bands: int = 16) -> None:
        super().__init__()
        self.register_buffer("periods", torch.pi * torch.arange(1, bands + 1) / 1000, persistent=False)
        self.out = nn.Linear(bands, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, -2.0)

    def forward(self, times_B: Tensor) -> Tensor:
        """Times 0 to 999 to logarithms, both (B,)."""
        waves: Tensor = torch.cos(times_B[:, None] * self.periods)
        with torch.autocast(times_B.device.type, enabled=False):
            logarithms: Tensor = self.out(waves)
        return logarithms[:, 0]


def attention(on: torch.device) -> AbstractContextManager[None]:
    """Attention written out where torch's own is slower: 16 bits on a CPU, by five times on the way back."""
    return (
        sdpa_kernel(SDPBackend.MATH)
        if on.type == "cpu" and torch.is_autocast_enabled("cpu")
        else nullcontext()
    )


class InBFloat16(nn.Module):
    """A U-Net with all of its weights in bfloat16, made anew of the true ones in every call.

    Autocast keeps the norms, and all that lies between them, in 32 bits.
    """

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, noised: Tensor, times: Tensor, states: Tensor) -> Tensor:
        """The velocity, in bfloat16."""
        weights = {
            name: tensor.bfloat16() if tensor.is_floating_point() else tensor
            for name, tensor in (*self.unet.named_parameters(), *self.unet.named_buffers())
        }
        given = noised.bfloat16(), times, states.bfloat16()
        with torch.autocast(noised.device.type, enabled=False):
            velocity: Tensor = torch.func.functional_call(self.unet, weights, given).sample
        return velocity


@contextmanager
def frames_at(unet: nn.Module, indices: NDArray[np.intp]) -> Iterator[None]:
    """Within it, the motion modules take the frames they get for those at `indices` of a clip."""
    embeddings = [m for m in unet.modules() if isinstance(getattr(m, "pe", None), Tensor)]
    whole = [m.pe for m in embeddings]
    try:
        for module, table in zip(embeddings, whole, strict=True):
            module.pe = table[:, torch.from_numpy(indices)]
        yield
    finally:
        for module, table in zip(embeddings, whole, strict=True):
            module.pe = table


@dataclass(frozen=True)
class Latents:
    """Scaled latents of staged clips, (N, T, C, h, w), and their scenes."""

    values: NDArray[np.float16]
    scenes: list[Scene]

    @classmethod
    @torch.no_grad()
    def make(cls, vae: AutoencoderKL, count: int, mix: Mix, folder: Path, workers: int = 0) -> Latents:
        """Draw and encode `count` clips of a mix, or go on where this was left.

        Files are named after the weights and the first scenes, which differ where others are drawn.
        """
        folder.mkdir(parents=True, exist_ok=True)
        first = hashlib.sha256(repr(list(islice(_scenes(0, mix), FIRST))).encode()).hexdigest()[:8]
        name = f"staged-{fingerprint(vae.encoder, vae.quant_conv)}-{first}"
        paths = [folder / f"{name}-{i:03d}.npy" for i in range(-(-count // BATCH))]
        missing = [path for path in paths if not path.exists()]
        drawn = spread(_draw, [(paths.index(path), mix) for path in missing], workers)
        for path, (scenes, frames) in zip(missing, drawn, strict=True):
            values = [
                vae.encode(to_tensor(some).to(device())).latent_dist.mean * vae.config.scaling_factor
                for some in np.split(frames, BATCH // ENCODED)
            ]
            path.with_suffix(".pickle").write_bytes(pickle.dumps(scenes))
            beside = path.with_suffix(".tmp")
            with beside.open("wb") as file:
                np.save(file, torch.cat(values).unflatten(0, (BATCH, -1)).half().cpu().numpy())
            beside.replace(path)  # a chunk is there once its latents are
        kept = [pickle.loads(path.with_suffix(".pickle").read_bytes()) for path in paths]
        return cls(np.concatenate([np.load(path) for path in paths]), [s for scenes in kept for s in scenes])


def _scenes(chunk: int, mix: Mix) -> Iterator[Scene]:
    rng = np.random.default_rng([11, chunk])
    while True:
        yield sample_staged(rng, "training", mix)


def _draw(chunk: int, mix: Mix) -> tuple[list[Scene], NDArray[np.uint8]]:
    """The scenes of a chunk of latents, and all their frames one after the other."""
    made = list(islice(_scenes(chunk, mix), BATCH))
    return made, np.concatenate([render(scene) for scene in made])


@torch.no_grad()
def even_out(text: CLIPTextModel, states_BKD: Tensor) -> tuple[Tensor, Tensor]:
    """Scale the text tower's last norm so that every channel tells prompts apart as much as any other.

    The tower's states have most of their length in common, whatever the words. From the mean state of a
    prompt an MLP learned what is to be drawn three times as fast once the mean was gone and the spread was
    even. `states_BKD` are those of some prompts. Returns the mean and the scale (D,) of what the states were
    before: before = mean + scale * after.
    """
    tower: Any = getattr(text, "text_model", text)  # older transformers keep it one level down
    norm = tower.final_layer_norm
    mean_D = states_BKD.mean((0, 1))
    spread_D = states_BKD.mean(1).std(0)
    scale_D = spread_D * ((states_BKD - mean_D) / spread_D).square().mean().sqrt()
    norm.weight.div_(scale_D)
    norm.bias.sub_(mean_D).div_(scale_D)
    return mean_D, scale_D


@dataclass(frozen=True)
class Shown:
    """One step's prompts (B, K), noise levels (B,), latents, and the frames' places in a clip.

    Latents are (B, C, h, w) of single frames and (B, C, T, h, w) of clips; `seed` is that of their noise.
    """

    ids: Tensor
    times: Tensor
    indices: NDArray[np.intp]
    latents: Tensor
    seed: int


class DrawerTask:
    """Predict the velocity of noised latents from the words."""

    def __init__(self, stage: DrawerStage, frames: Path, out: Path, latents: Path) -> None:
        self.stage = stage
        torch.manual_seed(stage.loop.seed)
        clip = ClipEncoder.from_pretrained(out / "clip").float()
        self.tokenizer: Any = load_tokenizer(out / "clip")
        self.text: CLIPTextModel = to_hf_text_model(
            clip.model,
            eos_id=self.tokenizer.eos_token_id,
            bos_id=self.tokenizer.bos_token_id,
            pad_id=self.tokenizer.pad_token_id,
        )
        self.text.requires_grad_(False).to(device())
        self.vae = AutoencoderKL.from_pretrained(out / "pipeline" / "vae").float().to(device())
        self.latents = Latents.make(self.vae, stage.clips, stage.mix, latents, stage.loop.workers)
        rng = np.random.default_rng(13)
        prompts = [self.say(scene, rng) for scene in self.latents.scenes[:1000]]
        even_out(self.text, self.states(self.ids(prompts)))
        unet = make_unet(stage, self.vae.config.latent_channels, self.text.config.hidden_size)
        if stage.kind == "motion":
            unet = UNet2DConditionModel.from_pretrained(frames).float()
            self.unet: Any = with_motion(unet, stage)
        else:
            self.unet = unet
        self.unet.train().to(device())
        self.recorded: Any = None
        self.scheduler = scheduler()
        self.scheduler.set_timesteps(stage.steps)
        self.grid = self.scheduler.timesteps.clone()
        self.spread = LogVariance().to(device())
        self.modules: dict[str, nn.Module] = {"unet": self.unet, "spread": self.spread}

    def say(self, scene: Scene, rng: np.random.Generator) -> str:
        """A prompt that is true of the scene."""
        if rng.random() < self.stage.drop:
            return ""
        request = told(scene, rng)
        return prompt(request) if rng.random() < 0.7 else paraphrase(request, rng, "training")

    def ids(self, texts: list[str]) -> Tensor:
        """Prompts as the text tower reads them, (B, K)."""
        ids: Tensor = self.tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids
        return ids

    def states(self, ids: Tensor) -> Tensor:
        """What the U-Net reads of the prompts, (B, K, D)."""
        with torch.no_grad():
            states: Tensor = self.text(sent(ids)).last_hidden_state
        return states

    def times(self, randomness: Randomness, count: int, frames: int) -> Tensor:
        """Noise levels (B,): mostly those that sampling visits; of few frames the noisiest alone.

        There the words decide, one frame is as good as sixteen, and many clips are better than few.
        """
        grid = self.grid if frames > FEW else self.grid[:NOISIEST]
        anywhere = torch.randint(int(grid[-1]), 1000, (count,), generator=randomness.torch)
        visited = grid[torch.randint(0, len(grid), (count,), generator=randomness.torch)]
        on_grid = torch.rand(count, generator=randomness.torch) < self.stage.on_grid
        return torch.where(on_grid, visited, anywhere)

    def batch(self, randomness: Randomness) -> Shown:
        """Frames or clips, prompts that are true of them, and how noisy they get."""
        rng, stage = randomness.numpy, self.stage
        stride = int(rng.choice(stage.strides)) if stage.kind == "motion" else NUM_FRAMES
        count = stage.batch * stride // NUM_FRAMES
        chosen = rng.choice(len(self.latents.scenes), count, replace=False)
        ids = self.ids([self.say(self.latents.scenes[i], rng) for i in chosen])
        # Single frames are all that `frames` has; to `motion` they are the fewest.
        times = self.times(randomness, count, NUM_FRAMES // stride if stage.kind == "motion" else NUM_FRAMES)
        if stage.kind == "frames":
            indices = np.arange(1)
            clean = np.stack([self.latents.values[i, rng.integers(NUM_FRAMES)] for i in chosen])
        else:
            indices = np.arange(int(rng.integers(stride)), NUM_FRAMES, stride)
            clean = self.latents.values[chosen][:, indices].swapaxes(1, 2)
        latents = torch.from_numpy(np.ascontiguousarray(clean))
        return Shown(ids, times, indices, latents, randomness.torch.initial_seed())

    def guess(self, noised: Tensor, times: Tensor, states: Tensor, indices: NDArray[np.intp]) -> Tensor:
        """The velocity that the U-Net sees; states are those of each frame."""
        whole = len(indices) == NUM_FRAMES or self.stage.kind == "frames"
        if self.stage.record and whole and noised.is_cuda:
            if self.recorded is None:
                sample = noised.clone(), times.clone(), states.clone()
                with torch.autocast(noised.device.type, enabled=False):  # graphs take none with a cache
                    self.recorded = torch.cuda.make_graphed_callables(InBFloat16(self.unet), sample)
            velocity: Tensor = self.recorded(noised, times, states)
        else:
            # Places of whole clips are those that the motion modules have by themselves.
            placed = nullcontext() if whole else frames_at(self.unet, indices)
            with attention(noised.device), placed:
                velocity = self.unet(noised, times, states).sample
        return velocity

    def loss(self, batch: Shown) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error of the velocity, each noise level by its own measure."""
        states, indices = self.states(batch.ids), batch.indices
        clean, times = sent(batch.latents).float(), sent(batch.times)
        generator = torch.Generator(clean.device).manual_seed(batch.seed)
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        noised = self.scheduler.add_noise(clean, noise, times)
        target = self.scheduler.get_velocity(clean, noise, times)
        guess = self.guess(noised, times, states.repeat_interleave(len(indices), 0), indices)
        error_B = (guess.float() - target).square().flatten(1).mean(1)
        spread_B = self.spread(times)
        measured = (error_B / spread_B.exp() + spread_B).mean()
        return measured, {"velocity": error_B.detach().mean()}


def train(
    stage: DrawerStage, folder: Path, frames: Path, out: Path, latents: Path, *, resume: bool = True
) -> None:
    """Train; the U-Net of single frames is kept in `frames`, the pipeline is saved to `out/pipeline`."""
    task = DrawerTask(stage, frames, out, latents)
    run(task, stage.loop, folder, resume=resume)
    if stage.kind == "frames":
        task.unet.half().save_pretrained(frames, safe_serialization=True)
    else:
        save_pipeline(task, out / "pipeline")


def save_pipeline(task: DrawerTask, path: Path) -> None:
    """Write the whole AnimateDiff pipeline, and beside it how it likes to be called."""
    unet = task.unet.eval().half()
    pipeline = AnimateDiffPipeline(
        # Read again: its decoder may have got better meanwhile.
        vae=AutoencoderKL.from_pretrained(path / "vae").half(),
        # transformers opens weights in the type they were saved in, diffusers in 32 bits; they have to agree.
        text_encoder=task.text.float(),
        tokenizer=task.tokenizer,
        unet=unet,
        motion_adapter=None,
        scheduler=scheduler(),
    )
    for module in (pipeline.vae, pipeline.unet):
        module.register_to_config(_name_or_path="")  # or the file would tell of folders of this machine
    pipeline.save_pretrained(path, safe_serialization=True, max_shard_size="12MB")
    colours, latents = _colours(task)
    DrawerConfig(
        width=SIDE,
        height=SIDE,
        num_frames=NUM_FRAMES,
        fps=FPS,
        enlarge=4,
        steps=task.stage.steps,
        guidance=task.stage.guidance,
        preview=PreviewMap.fit(latents, colours),
    ).write(path)


def _colours(task: DrawerTask) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Latent values (N, C) and the mean colours (N, 3), 0 to 1, of the 8x8 pixels that each stands for."""
    colours, values = [], []
    for i in range(min(64, len(task.latents.scenes))):
        frames = render(task.latents.scenes[i])[::5].astype(np.float32) / 255
        blocks = frames.reshape(len(frames), SIDE // 8, 8, SIDE // 8, 8, 3).mean((2, 4))
        colours.append(blocks.reshape(-1, 3))
        latent = task.latents.values[i, ::5].astype(np.float32)
        values.append(latent.transpose(0, 2, 3, 1).reshape(-1, latent.shape[1]))
    return np.concatenate(colours), np.concatenate(values)
