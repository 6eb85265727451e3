"""`gpt4video evaluate`: a config -> `{measure: {value, n, seed, interval, bar}}`, written task by task.

A run that was stopped goes on where it was: beside FILE stands FILE.part with the measures so far and a
fingerprint of the checkpoint and the settings; with another fingerprint it starts anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpt4video.checkpoint import FILE_NAME, find
from gpt4video.config import read, read_yaml, resolve
from gpt4video.errors import ConfigError, InputError
from gpt4video.evaluation.metrics import Measure
from gpt4video.evaluation.play import Bench, EvaluationConfig
from gpt4video.evaluation.report import plain
from gpt4video.evaluation.tasks import MEASURES, Measures, evaluate
from gpt4video.evaluation.vae import open_reconstruction
from gpt4video.loading import load


def settings(name: str) -> tuple[EvaluationConfig, str | None]:
    """The section `evaluation` of a config, and the checkpoint that it names.

    A checkpoint's own folder or description will do as well: then the settings are the usual ones.
    """
    file = resolve(name)
    if file.is_dir() or file.name == FILE_NAME:
        return EvaluationConfig(), str(file)
    data = read_yaml(file)
    if not isinstance(data, dict):
        raise ConfigError(f"{file.name}: expected a mapping of fields, got {data!r}.")
    config = read(EvaluationConfig, data.get("evaluation") or {}, f"{file.name}: evaluation")
    if any(part in data for part in ("understanding", "generation", "safety")):
        return config, str(file)
    checkpoint = data.get("checkpoint")
    if checkpoint is not None and (beside := file.parent / str(checkpoint)).is_dir():
        return config, str(beside)
    return config, None if checkpoint is None else str(checkpoint)


def open_bench(checkpoint: str | None, config: EvaluationConfig) -> Bench:
    """The assistant of a checkpoint, with its VAE where it has one."""
    return Bench(load(checkpoint), config, open_reconstruction(checkpoint))


def fingerprint(checkpoint: str | None, config: EvaluationConfig) -> str:
    """Of the settings and of the checkpoint's files, by size and time."""
    folder = find(checkpoint).parent
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    told = [(str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.sha256(repr((told, config)).encode()).hexdigest()


def as_json(measures: Measures) -> dict[str, Any]:
    """The measures as they are written down."""
    return {name: measure.as_json() for name, measure in measures.items()}


class Book:
    """FILE and FILE.part: what was measured so far."""

    def __init__(self, file: Path, key: str) -> None:
        """Raises `InputError` where FILE cannot be written."""
        self._file, self._part, self._key = file, file.with_name(f"{file.name}.part"), key
        if not file.parent.is_dir():
            raise InputError(f"There is no folder {file.parent} to write {file.name} in.")

    def before(self) -> Measures:
        """What an earlier run with the same fingerprint measured."""
        try:
            part = json.loads(self._part.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if part["fingerprint"] != self._key:
            return {}
        return {name: Measure.of_json(data) for name, data in part["measures"].items()}

    def write(self, measures: Measures) -> None:
        """Keep what there is so far."""
        self._replace(self._part, {"fingerprint": self._key, "measures": as_json(measures)})

    def close(self, measures: Measures) -> None:
        """All is measured."""
        self._replace(self._file, as_json(measures))
        self._part.unlink(missing_ok=True)

    def _replace(self, file: Path, data: dict[str, Any]) -> None:
        new = file.with_name(f".{file.name}.new")
        new.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        new.replace(file)


def evaluate_main(args: argparse.Namespace) -> int:
    """Options: `config`, `json` (a file or None) and, where they are there, `only` (patterns), `checkpoint`.

    Raises `InputError`. Bars that are not reached are said in the table; they are no error.
    """
    config, checkpoint = settings(args.config)
    checkpoint = getattr(args, "checkpoint", None) or checkpoint
    if only := getattr(args, "only", None):
        config = replace(config, only=tuple(only))
    if not any(config.wants(m) for m in MEASURES):
        raise InputError(f"No measure is called {' or '.join(config.only)}; there is: {', '.join(MEASURES)}.")
    book = None if args.json is None else Book(Path(args.json), fingerprint(checkpoint, config))
    bench = open_bench(checkpoint, config)
    before = {} if book is None else book.before()
    measures = evaluate(bench, book.write if book else lambda m: None, before, quiet=False)
    if book is not None:
        book.close(measures)
    print(plain(measures))
    return 0
