"""Real diffusers pipelines with random weights, small enough to draw in a blink."""

import string

import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    TextToVideoSDPipeline,
    UNet3DConditionModel,
    UNetMotionModel,
    WanPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

WIDTH = 16


def clip_tokenizer():
    letters = list(string.ascii_lowercase)
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    return CLIPTokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[], model_max_length=16)


def clip_text_encoder():
    config = CLIPTextConfig(
        vocab_size=64, hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    return CLIPTextModel(config).eval()


def word_tokenizer():
    vocab = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "red": 4, "circle": 5}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=16,
    )


def vae():
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4, latent_channels=4, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip


def scheduler():
    return DDIMScheduler(beta_schedule="linear", clip_sample=False, steps_offset=1)


def animatediff():
    torch.manual_seed(0)
    unet = UNetMotionModel(
        sample_size=4, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
        cross_attention_dim=WIDTH,
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
        up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion"),
        motion_num_attention_heads=2, num_attention_heads=2, motion_max_seq_length=32,
    )  # fmt: skip
    return AnimateDiffPipeline(vae(), clip_text_encoder(), clip_tokenizer(), unet, None, scheduler())


def modelscope():
    torch.manual_seed(0)
    unet = UNet3DConditionModel(
        sample_size=4, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
        cross_attention_dim=WIDTH,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        attention_head_dim=4,
    )  # fmt: skip
    return TextToVideoSDPipeline(vae(), clip_text_encoder(), clip_tokenizer(), unet, scheduler())


def wan():
    torch.manual_seed(0)
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=WIDTH, freq_dim=16, ffn_dim=32, num_layers=1, cross_attn_norm=True, rope_max_seq_len=32,
    )  # fmt: skip
    autoencoder = AutoencoderKLWan(
        base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    text = UMT5EncoderModel(
        UMT5Config(vocab_size=8, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0)
    )
    return WanPipeline(
        tokenizer=word_tokenizer(), text_encoder=text.eval(), transformer=transformer, vae=autoencoder,
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def ltx():
    torch.manual_seed(0)
    transformer = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, patch_size=1, patch_size_t=1, num_attention_heads=2,
        attention_head_dim=8, cross_attention_dim=16, num_layers=1, caption_channels=WIDTH,
    )  # fmt: skip
    autoencoder = AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5, upsample_residual=(False,) * 4, upsample_factor=(1, 1, 1, 1),
        timestep_conditioning=False, patch_size=1, patch_size_t=1, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    text = T5EncoderModel(
        T5Config(vocab_size=8, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0)
    )
    return LTXPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=autoencoder, text_encoder=text.eval(),
        tokenizer=word_tokenizer(), transformer=transformer,
    )  # fmt: skip
