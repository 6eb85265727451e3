"""A complete checkpoint of real classes made tiny, with random weights: what `load()` opens in tests.

    path = make_checkpoint(tmp_path / "tiny")        about half a second, about half a megabyte
    assistant = gpt4video.load(path)

Its answers are noise, but the same noise each time; everything around the answers is as in any checkpoint.
"""

from pathlib import Path

import torch
import yaml

from gpt4video.generation import DrawerConfig
from gpt4video.models import Abstractor, AbstractorConfig, BackboneConfig, BackboneForCausalLM
from gpt4video.models.clip import make_clip, save_clip, text_tokenizer
from gpt4video.models.tokenizer import SPECIAL, train_tokenizer
from tests.generation.tiny import animatediff

WIDTH = 32
TEXTS = (
    "A red circle moves to the left.",
    "What moves? The blue square, and it is small.",
    "Here is a green star moving up. Draw a yellow triangle, please!",
    "Wie heißt das? Café, naïve, 🙂.",
)
ASSISTANT_YAML = {
    "format_version": 1,
    "name": "tiny",
    "understanding": {
        "kind": "native",
        "clip": "clip",
        "language_model": "language_model",
        "abstractor": "abstractor",
        "sampling": {"kind": "uniform", "num_frames": 4},
    },
    "generation": {"kind": "diffusers", "pipeline": "pipeline"},
    "safety": {"folder": "safety"},
}


def tokenizer():
    """A tokenizer that knows a few words and all bytes."""
    return train_tokenizer(TEXTS, 340)


def backbone(vocab_size, context=512):
    """A language model that goes on saying words of `TEXTS`, whatever it is asked."""
    torch.manual_seed(0)
    config = BackboneConfig(
        vocab_size=vocab_size, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=context, embedding_std=1.0, initializer_range=0.2, tie_word_embeddings=False,
    )  # fmt: skip
    model = BackboneForCausalLM(config).eval()
    with torch.no_grad():  # tags and single bytes score 0, and some word always scores more
        model.lm_head.weight[: len(SPECIAL) + 256] = 0
    return model


def clip_config(vocab_size, eos_id):
    """What open_clip is told."""
    return {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 16, "layers": 2, "head_width": 8},
        "text_cfg": {
            "context_length": 16, "vocab_size": vocab_size, "width": 16, "heads": 2, "layers": 1,
            "pool_type": "eos", "eos_id": eos_id, "hf_tokenizer_name": "tokenizer",
        },
    }  # fmt: skip


def abstractor():
    """An abstractor that fits the CLIP and the language model of this file."""
    torch.manual_seed(0)
    config = AbstractorConfig(
        encoder_width=16, grid=(2, 2), language_width=WIDTH, width=16, num_layers=1, num_heads=2,
        num_queries=3, mlp_width=32, time_bands=4,
    )  # fmt: skip
    return Abstractor(config).eval()


def make_checkpoint(path) -> Path:
    """Write the checkpoint into a fresh folder."""
    path = Path(path)
    words = tokenizer()
    backbone(len(words)).save_pretrained(path / "language_model")
    words.save_pretrained(path / "language_model")
    captions = text_tokenizer(words, words.bos_token_id, words.eos_token_id)
    description = clip_config(len(words), words.eos_token_id)
    torch.manual_seed(0)
    save_clip(make_clip(description), description, path / "clip", captions)
    abstractor().save_pretrained(path / "abstractor")
    animatediff().save_pretrained(path / "pipeline")
    DrawerConfig(width=32, height=32, num_frames=4, fps=4, steps=2).write(path / "pipeline")
    (path / "safety").mkdir()
    (path / "assistant.yaml").write_text(yaml.safe_dump(ASSISTANT_YAML, sort_keys=False), encoding="utf-8")
    return path
