"""Drawing: any diffusers text-to-video pipeline behind one interface.

config.py      what the pipeline's makers say of it (`gpt4video.json`, the sidecar)
pipelines.py   what a pipeline class accepts, read from the class itself
preview.py     a small picture of unfinished latents
    watch.py       a call after every denoising step
diffusers.py   `DiffusersDrawer`: progress, cancellation, seeds, turns
"""

from gpt4video.generation.config import SIDECAR, DrawerConfig, PreviewMap
from gpt4video.generation.diffusers import DiffusersDrawer

__all__ = ["SIDECAR", "DiffusersDrawer", "DrawerConfig", "PreviewMap"]
