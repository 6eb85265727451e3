"""Measures as a table: in Markdown for the README, plain for a terminal.

python -m gpt4video.evaluation.report quality.json [more.json …]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gpt4video.evaluation.metrics import Measure

HEAD = ("measure", "value", "95 % interval", "n", "at least", "reached")


def rows(measures: Mapping[str, Measure]) -> list[tuple[str, ...]]:
    """The cells of every measure, in the order of `HEAD`."""
    reached = {True: "yes", False: "no", None: ""}
    return [
        (
            name,
            f"{100 * m.value:.1f} %",
            f"{100 * m.interval[0]:.1f} to {100 * m.interval[1]:.1f}",
            str(m.n),
            "" if m.bar is None else f"{100 * m.bar:.4g} %",
            reached[m.reached],
        )
        for name, m in measures.items()
    ]


def markdown(measures: Mapping[str, Measure]) -> str:
    """A table in Markdown."""
    lines = [HEAD, ("---", "---:", "---:", "---:", "---:", "---"), *rows(measures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(measures: Mapping[str, Measure]) -> str:
    """A table of aligned columns."""
    lines = [HEAD, *rows(measures)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    aligned = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in aligned)


def read_files(files: Sequence[Path]) -> dict[str, Measure]:
    """The measures of several files, those of later files in place of the same of earlier ones."""
    measures: dict[str, Measure] = {}
    for file in files:
        data = json.loads(file.read_text(encoding="utf-8"))
        measures |= {name: Measure.of_json(values) for name, values in data.items()}
    return measures


def main(names: Sequence[str]) -> int:
    """Print the table of these files."""
    print(markdown(read_files([Path(name) for name in names])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
