"""`gpt4video train` and `gpt4video evaluate`: their options; the work is in `training` and `evaluation`."""

from __future__ import annotations

import argparse
from pathlib import Path

from gpt4video.commands.command import Command, quiet


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `train`."""
    parser.add_argument("--config", metavar="FILE", required=True, help="what to train, e.g. shapes")
    parser.add_argument("--resume", action="store_true", help="go on where the last run was stopped")
    parser.add_argument(
        "--stage", metavar="NAME", nargs="+", default=[], help="only these stages (default: all, in order)"
    )
    parser.add_argument(
        "--start", metavar="FOLDER", help="a checkpoint whose weights these stages begin from, e.g. embedded"
    )


def train(args: argparse.Namespace) -> int:
    """Train the stages of a config."""
    quiet()
    from gpt4video.training.run import train_main

    return int(train_main(args) or 0)


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `evaluate`."""
    parser.add_argument("--config", metavar="FILE", required=True, help="what to measure, e.g. shapes")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the measures there as well")
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="only these measures, e.g. 'qa/*'")
    parser.add_argument("--checkpoint", metavar="FOLDER", help="another checkpoint than the config's")


def evaluate(args: argparse.Namespace) -> int:
    """Measure what a config names."""
    quiet()
    from gpt4video.evaluation.run import evaluate_main

    return int(evaluate_main(args) or 0)


TRAIN = Command("train a model, stage by stage", add_train_arguments, train)
EVALUATE = Command("measure a model on the test part", add_evaluate_arguments, evaluate)
