"""Tensors in, tensors out: the CLIP encoder, the abstractor and the language model.

Importing this registers the language model with transformers' Auto classes. It brings in torch and
transformers only, as each process of an engine that serves the language model does it; CLIP is in
`gpt4video.models.clip`.
"""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from gpt4video.models.abstractor import Abstractor, AbstractorConfig
from gpt4video.models.backbone import BackboneForCausalLM, BackboneModel
from gpt4video.models.backbone_config import BackboneConfig

AutoConfig.register(BackboneConfig.model_type, BackboneConfig, exist_ok=True)
AutoModel.register(BackboneConfig, BackboneModel, exist_ok=True)
AutoModelForCausalLM.register(BackboneConfig, BackboneForCausalLM, exist_ok=True)

__all__ = [
    "Abstractor",
    "AbstractorConfig",
    "BackboneConfig",
    "BackboneForCausalLM",
    "BackboneModel",
]
