"""`gpt4video norms`: its options; the study is in `training/norms`."""

from __future__ import annotations

import argparse
from pathlib import Path

from gpt4video.commands.command import Command, quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "--config", metavar="FILE", default="norms-quick", help="which study (default: norms-quick)"
    )
    parser.add_argument("--output", metavar="FOLDER", type=Path, help="another folder than the config's")
    parser.add_argument("--report", action="store_true", help="train nothing; say what is finished so far")
    parser.add_argument("--json", action="store_true", help="print the tables as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Train what is missing, and write tables and plots."""
    quiet()
    from gpt4video.training.norms.run import norms_main

    return int(norms_main(args) or 0)


COMMAND = Command("study where to normalise: tables and plots", add_arguments, run)
