"""Checkpoints of one family as another: same numbers, other names.

clip_text.py    open_clip's text tower as transformers' CLIPTextModel
families.py     Llama, Qwen, Mistral, Gemma, OLMo 2 and GPT-2 as the language model of `backbone.py`, and
                back: the table of their fields and names
checkpoint.py   a folder of safetensors through that table, one tensor at a time
"""

from gpt4video.models.convert.checkpoint import convert_checkpoint
from gpt4video.models.convert.clip_text import to_hf_text_model
from gpt4video.models.convert.families import FAMILIES, NATIVE

__all__ = ["FAMILIES", "NATIVE", "convert_checkpoint", "to_hf_text_model"]
