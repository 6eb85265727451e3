"""Time the language model and CLIP's image tower beside what others have: see the package."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.backbone import clip, language

HEAD = ("what", "which", "median", "time by the first's")


def main() -> int:
    """All parts, or one of them; a table on stdout and the same as JSON in a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backbone", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--only", choices=("eager", "compiled", "clip"), help="one of the parts")
    parser.add_argument("--rounds", type=int, default=20, help="paired rounds")
    parser.add_argument("--pictures", type=int, default=4, help="pictures that the tower sees at once")
    parser.add_argument(
        "--busy",
        action="store_true",
        help="count processor time, of one thread, where others share the machine",
    )
    args = parser.parse_args()
    clock = time.process_time if args.busy else time.perf_counter
    if args.busy:
        torch.set_num_threads(1)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "eager": lambda: language.eager(args.rounds, clock),
        "compiled": lambda: language.compiled(args.rounds, clock),
        "clip": lambda: clip.tower(args.rounds, clock, args.pictures),
    }
    found: dict[str, Any] = {}
    for name, part in parts.items():
        if args.only in (None, name):
            print(name, file=sys.stderr, flush=True)
            found |= part()
    if args.json is not None:
        told = {
            "threads": torch.get_num_threads(),
            "busy": args.busy,
            "torch": torch.__version__,
            "figures": found,
        }
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(table(found))
    return 0


def table(found: dict[str, Any]) -> str:
    """The figures in Markdown."""
    lines = [HEAD, ("---", "---", "---:", "---:")]
    lines += [
        (what, which, f"{1000 * figures['seconds']:.1f} ms", f"{figures['ratio']:.3f}")
        for what, variants in found.items()
        for which, figures in variants.items()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
