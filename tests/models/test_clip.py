"""One directory, opened by us and by open_clip alike."""

import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from gpt4video.errors import ConfigError, InputError
from gpt4video.models.clip import ClipEncoder, make_clip, save_clip, text_tokenizer

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 48, "layers": 3, "head_width": 24},
    "text_cfg": {
        "context_length": 8,
        "vocab_size": 8,
        "width": 32,
        "heads": 4,
        "layers": 2,
        "pool_type": "eos",
        "eos_id": 3,
        "hf_tokenizer_name": "tokenizer",
    },
}
WORDS = ["<pad>", "<s>", "<unk>", "</s>", "a", "red", "circle", "<draw>"]


def words_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer as a language model has one: it adds nothing to a text."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip")
    save_clip(make_clip(CONFIG), CONFIG, path, text_tokenizer(words_tokenizer(), bos_id=1, eos_id=3))
    return path


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)


def test_the_directory_holds_no_pickle_and_describes_itself(folder):
    assert {p.name for p in folder.iterdir()} == {
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert json.loads((folder / "open_clip_config.json").read_text())["model_cfg"] == CONFIG


def test_open_clip_opens_the_same_directory_and_sees_the_same(folder, frames):
    ours = ClipEncoder.from_pretrained(folder)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()
    pixels = ours.preprocess(frames)
    assert torch.equal(ours.image_features(pixels), model.encode_image(pixels, normalize=True))
    ids = tokenizer(["a red circle"])
    assert ids.tolist() == [[1, 4, 5, 6, 3, 0, 0, 0]]
    assert torch.equal(ours.text_features(["a red circle"]), model.encode_text(ids, normalize=True))
    assert torch.equal(ours.text_features(ids), ours.text_features(["a red circle"]))
    # PIL rounds to whole grey levels after both of its passes: at most one level of 255, by a std of 0.26.
    theirs = torch.stack([transform(Image.fromarray(frame)) for frame in frames])
    torch.testing.assert_close(pixels, theirs, rtol=0, atol=1 / 255 / 0.26)


def test_a_long_text_still_ends_with_the_end_token(folder):
    ids = ClipEncoder.from_pretrained(folder).tokenizer(["red " * 50])
    assert ids.shape == (1, 8) and ids[0, -1] == 3


def test_the_language_models_own_tokenizer_stays_as_it_was():
    tokenizer = words_tokenizer()
    text_tokenizer(tokenizer, bos_id=1, eos_id=3)
    assert tokenizer("a red circle").input_ids == [4, 5, 6]


@pytest.mark.parametrize("layer", ["last", "penultimate"])
def test_patch_tokens_are_those_of_the_chosen_block(folder, frames, layer):
    encoder = ClipEncoder.from_pretrained(folder, layer=layer)
    pixels = encoder.preprocess(frames)
    visual = encoder.model.visual
    x = visual._embeds(pixels)
    for block in visual.transformer.resblocks[: 3 if layer == "last" else 2]:
        x = block(x)
    assert encoder.patch_tokens(pixels).shape == (3, 16, 48) == (3, np.prod(encoder.grid), encoder.width)
    torch.testing.assert_close(encoder.patch_tokens(pixels), visual.ln_post(x)[:, 1:])


RESNET = {**CONFIG, "vision_cfg": {"image_size": 64, "width": 4, "layers": [1, 2, 1, 1], "head_width": 32}}


@pytest.mark.parametrize(
    ("layer", "width", "cells"), [("last", 128, 2), ("penultimate", 64, 4), ("antepenultimate", 32, 8)]
)
def test_the_patches_of_a_resnet_are_the_cells_of_a_stage(layer, width, cells):
    encoder = ClipEncoder(make_clip(RESNET).eval(), layer)
    pixels = encoder.preprocess(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    tokens = encoder.patch_tokens(pixels)
    assert encoder.grid == (cells, cells) and encoder.width == width
    assert tokens.shape == (2, cells * cells, width)
    stages = encoder.model.visual.forward_intermediates(pixels)["image_intermediates"]
    whole = next(stage for stage in stages if stage.shape[-1] == cells and stage.shape[1] == width)
    assert torch.equal(tokens, whole.flatten(2).transpose(1, 2))


@pytest.mark.parametrize("config", [CONFIG, RESNET])
def test_one_look_gives_tokens_and_features(config):
    encoder = ClipEncoder(make_clip(config).eval())
    size = (2, encoder.image_size, encoder.image_size, 3)
    pixels = encoder.preprocess(np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8))
    tokens, features = encoder.look(pixels)
    torch.testing.assert_close(tokens, encoder.patch_tokens(pixels))
    torch.testing.assert_close(features, encoder.image_features(pixels))


def test_features_have_length_one(folder, frames):
    encoder = ClipEncoder.from_pretrained(folder)
    features = encoder.image_features(encoder.preprocess(frames))
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(3))


def test_the_whole_picture_is_kept(folder):
    frames = np.zeros((1, 64, 128, 3), dtype=np.uint8)
    frames[:, :, -8:] = 255  # a bar at the right edge, which a centre crop would lose
    pixels = ClipEncoder.from_pretrained(folder).preprocess(frames)
    assert (pixels[..., -1] > pixels[..., 0] + 1).all()


def test_frames_of_the_right_size_are_only_rescaled(folder):
    encoder = ClipEncoder.from_pretrained(folder)
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    pixels = encoder.preprocess(frames) * encoder.std[:, None, None] + encoder.mean[:, None, None]
    assert np.array_equal((pixels * 255).round().byte().permute(0, 2, 3, 1).numpy(), frames)


def test_misfits_say_what_is_wrong(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"it has no open_clip_config\.json"):
        ClipEncoder.from_pretrained(tmp_path)
    (tmp_path / "open_clip_config.json").write_text((folder / "open_clip_config.json").read_text())
    with pytest.raises(ConfigError, match="has no weights"):
        ClipEncoder.from_pretrained(tmp_path)
    with pytest.raises(
        ConfigError, match="layer must be one of last, penultimate, antepenultimate, got 'first'"
    ):
        ClipEncoder.from_pretrained(folder, layer="first")
    with pytest.raises(ConfigError, match="unexpected keyword argument 'widht'"):
        make_clip({**CONFIG, "vision_cfg": {"widht": 3}})
    with pytest.raises(InputError, match=r"frames must be uint8 of shape \(T, H, W, 3\)"):
        ClipEncoder.from_pretrained(folder).preprocess(np.zeros((2, 3, 8, 8), dtype=np.float32))


def test_rewritten_to_rmsnorm_it_sees_the_same(folder, frames):
    plain = ClipEncoder.from_pretrained(folder)
    rewritten = ClipEncoder.from_pretrained(folder, norms="rmsnorm")
    assert not any(isinstance(m, torch.nn.LayerNorm) for m in rewritten.model.visual.transformer.modules())
    pixels = plain.preprocess(frames)
    for after, before in zip(rewritten.look(pixels), plain.look(pixels), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


def test_a_resnet_has_no_layernorm_to_rewrite(tmp_path):
    save_clip(make_clip(RESNET), RESNET, tmp_path)
    with pytest.raises(ConfigError, match="ModifiedResNet is no Pre-LN model"):
        ClipEncoder.from_pretrained(tmp_path, norms="rmsnorm")
