"""The language model split over two processes by FSDP2, block by block and then the rest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpt4video.models.norms import PLACEMENTS

SCRIPT = """
import copy, os, sys, torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from gpt4video.models import BackboneConfig, BackboneForCausalLM

mesh = init_device_mesh("cpu", (2,))
ids = torch.randint(1, 61, (2, 8), generator=torch.Generator().manual_seed(1))
for placement in sys.argv[1:]:
    torch.manual_seed(0)
    whole = BackboneForCausalLM(
        BackboneConfig(
            vocab_size=61, hidden_size=32, num_hidden_layers=2, norm_placement=placement, mix_alpha=0.5
        )
    )
    split = copy.deepcopy(whole)
    for module in split.modules():
        if type(module).__name__ in split._no_split_modules:
            fully_shard(module, mesh=mesh)
    fully_shard(split, mesh=mesh)
    for _ in range(3):
        losses = []
        for model in (whole, split):
            loss = model(ids, labels=ids).loss
            loss.backward()
            with torch.no_grad():
                for weight in model.parameters():
                    weight -= 0.1 * weight.grad
                    weight.grad = None
            losses.append(loss.item())
        assert abs(losses[0] - losses[1]) < 1e-5, (placement, losses)
dist.destroy_process_group()
os._exit(0)  # one process in ten is aborted by torch's own threads when it ends by itself
"""


@pytest.mark.slow  # starts two processes of torch
def test_the_model_in_shards_learns_what_the_whole_one_learns(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [*command, str(tmp_path / "script.py"), *PLACEMENTS],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
