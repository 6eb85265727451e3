"""Measure a checkpoint on the sets that others made: see the package."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.quality import handwritten, second_renderer
from gpt4video.evaluation.metrics import Measure
from gpt4video.evaluation.play import Case
from gpt4video.evaluation.report import plain
from gpt4video.evaluation.run import as_json, open_bench, settings


def main() -> int:
    """Both sets, or one of them; the table on stdout and the JSON of `gpt4video evaluate` in a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--config", default="shapes", help="a config or a checkpoint folder")
    parser.add_argument("--json", type=Path, help="write the measures there")
    parser.add_argument("--only", choices=("handwritten", "second_renderer"), help="one of the sets")
    parser.add_argument("--n", type=int, default=second_renderer.N, help="clips of the second renderer")
    args = parser.parse_args()
    config, checkpoint = settings(args.config)
    bench = open_bench(checkpoint, config)
    sets: dict[str, tuple[Iterator[Case], tuple[str, ...]]] = {
        "handwritten": (handwritten.cases(bench), handwritten.MEASURES),
        "second_renderer": (second_renderer.cases(bench, args.n), (second_renderer.MEASURE,)),
    }
    measures: dict[str, Measure] = {}
    for name, (cases, names) in sets.items():
        if args.only in (None, name):
            outcomes = bench.play(cases, dict.fromkeys(names, sys.maxsize), progress=_progress)
            print(file=sys.stderr)
            measures |= {m: Measure.of(m, outcomes[m], config.seed) for m in names}
            if args.json is not None:
                args.json.write_text(json.dumps(as_json(measures), indent=1) + "\n", encoding="utf-8")
    print(plain(measures))
    return 0


def _progress(count: int) -> None:
    print(f"\r{count} outcomes", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
