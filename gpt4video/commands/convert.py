"""`gpt4video convert SRC DST`: another family's checkpoint as our language model, or the other way round."""

from __future__ import annotations

import argparse
from pathlib import Path

from gpt4video.commands.command import DONE, Command, quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("source", metavar="SRC", type=Path, help="a folder with config.json and safetensors")
    parser.add_argument("target", metavar="DST", type=Path, help="the folder to make")
    parser.add_argument(
        "--to", metavar="FAMILY", help="our language model as llama, qwen3, gemma2 … (default: into ours)"
    )


def run(args: argparse.Namespace) -> int:
    """Convert, and say what was made."""
    quiet()
    from gpt4video.models.convert import NATIVE, convert_checkpoint

    made = convert_checkpoint(args.source, args.target, args.to or NATIVE)
    files = "one file" if len(made.files) == 1 else f"{len(made.files)} files"
    print(f"{args.target} ({made.model_type}, {made.parameters:,} parameters in {files})")
    return DONE


COMMAND = Command("turn another family's checkpoint into our language model", add_arguments, run)
