"""What vLLM calls in each of its processes, through the entry point `vllm.general_plugins`.

With this package installed beside it, vLLM opens a folder where a `BackboneForCausalLM` is saved: the classes
are registered with transformers, and the architecture is run by vLLM's Transformers backend, with vLLM's own
kernels in the place of RMSNorm and LayerNorm and ours for CRMSNorm. Prompts are ids, or embeddings
(`enable_prompt_embeds`), which is how soft tokens of videos enter.

vLLM changes `BackboneModel` in the process where it runs it, usually one of its own. In one process with it
(`VLLM_ENABLE_V1_MULTIPROCESSING=0`) make what transformers should run before vLLM's first engine.
"""

from __future__ import annotations

from gpt4video.models import BackboneForCausalLM


def register() -> None:
    """Make the language model known to vLLM. Importing `gpt4video.models` made it known to transformers."""
    from vllm import ModelRegistry

    ModelRegistry.register_model(
        BackboneForCausalLM.__name__, "vllm.model_executor.models.transformers:TransformersForCausalLM"
    )
