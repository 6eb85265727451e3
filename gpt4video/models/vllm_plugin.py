"""What vLLM calls in each of its processes, through the entry point `vllm.general_plugins`.

With this package installed beside it, `vllm serve FOLDER` opens a folder that this package has saved: the
classes are registered with transformers, and the architecture is run by vLLM's Transformers backend.
"""

from __future__ import annotations

from gpt4video.models import BackboneForCausalLM


def register() -> None:
    """Make the language model known to vLLM. Importing `gpt4video.models` made it known to transformers."""
    from vllm import ModelRegistry

    ModelRegistry.register_model(
        BackboneForCausalLM.__name__, "vllm.model_executor.models.transformers:TransformersForCausalLM"
    )
