"""`gpt4video norms`: train every arm that is not there yet, time the norms, write tables and plots.

FOLDER/arms/*.json    one file an arm, written when it is done; a stopped study goes on with the same command
FOLDER/speed.json     exactness and speed of the norms
FOLDER/results.json, report.md, plots/*.png, plots/*.svg
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gpt4video.config import read, read_yaml, resolve
from gpt4video.errors import ConfigError, InputError
from gpt4video.training.norms import plots
from gpt4video.training.norms.arm import run_arm
from gpt4video.training.norms.config import Setting, StudyConfig
from gpt4video.training.norms.report import as_json, markdown
from gpt4video.training.norms.results import Arm, Results
from gpt4video.training.norms.speed import exactness, speed
from gpt4video.training.norms.text import read_text


def read_study(name: str) -> StudyConfig:
    """The section `norms` of a config, by path or name. Raises `ConfigError`."""
    path = resolve(name)
    data = read_yaml(path)
    if not isinstance(data, dict) or "norms" not in data:
        raise ConfigError(f"{path}: has no section 'norms'.")
    return read(StudyConfig, data["norms"], f"{path}: norms")


def norms_main(args: argparse.Namespace) -> int:
    """Do what is not done yet, and write everything that can be said so far."""
    config = read_study(args.config)
    folder = args.output or config.folder
    if not plots.installed():
        _say(f"no plots: {plots.MISSING}")
    settings = config.settings()
    if not args.report:
        train(settings, config, folder / "arms")
    file = folder / "speed.json"
    if not file.exists():
        _say("the norms: equal, and how fast")
        folder.mkdir(parents=True, exist_ok=True)
        _write(file, {"exactness": exactness(), "speed": speed(config.speed)})
    results = Results(read_arms(settings, folder / "arms"), json.loads(file.read_text()))
    _write(folder / "results.json", as_json(results))
    (folder / "report.md").write_text(markdown(results), encoding="utf-8")
    if plots.installed():
        plots.draw(results, folder / "plots")
    else:
        _say(f"no plots: {plots.MISSING}")
    _say(f"{folder / 'report.md'}: {len(results.arms)} of {len(settings)} arms")
    if args.json:
        print(json.dumps(as_json(results)))
    return 0


def train(settings: Sequence[Setting], config: StudyConfig, folder: Path) -> None:
    """Train the arms whose files are not there yet, `config.workers` at a time.

    Raises `InputError` where finished ones read another text than these would.
    """
    folder.mkdir(parents=True, exist_ok=True)
    todo = [setting for setting in settings if not (folder / f"{setting.name}.json").exists()]
    finished = read_arms(settings, folder)
    if todo and finished:
        _of_one_text(folder, {finished[0].found["text"], read_text(config.text).source})
    started, before = time.monotonic(), len(settings) - len(todo)
    _say(f"{before} of {len(settings)} arms were finished before")
    for count, (setting, found) in enumerate(_run(todo, config), 1):
        _write(folder / f"{setting.name}.json", {"setting": asdict(setting), "found": found})
        pace = (time.monotonic() - started) / count
        loss = "broke" if found["validation"] is None else f"{found['validation']:.3f}"
        left = pace * (len(todo) - count) / 60
        _say(f"{before + count}/{len(settings)}  {setting.name}  {loss}  {left:.1f} min left")


def _run(settings: Sequence[Setting], config: StudyConfig) -> Iterator[tuple[Setting, dict[str, Any]]]:
    """Results as they come."""
    if config.workers == 1 or len(settings) < 2:
        before = torch.get_num_threads()
        torch.set_num_threads(config.threads)
        try:
            yield from ((setting, run_arm(setting)) for setting in settings)
        finally:
            torch.set_num_threads(before)
        return
    # Fresh processes: one that was forked has the other's threads in a state nobody knows.
    context = multiprocessing.get_context("spawn")
    workers = min(config.workers, len(settings))
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (config.threads,)) as pool:
        running = {pool.submit(run_arm, setting): setting for setting in settings}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def read_arms(settings: Sequence[Setting], folder: Path) -> list[Arm]:
    """The finished ones among these settings. Raises `InputError` where they did not read the same text."""
    files = {setting: folder / f"{setting.name}.json" for setting in settings}
    arms = [
        Arm(setting, json.loads(file.read_text(encoding="utf-8"))["found"])
        for setting, file in files.items()
        if file.exists()
    ]
    _of_one_text(folder, {arm.found["text"] for arm in arms})
    return arms


def _of_one_text(folder: Path, texts: set[str]) -> None:
    if len(texts) > 1:
        told = "; ".join(sorted(texts))
        raise InputError(
            f"{folder}: arms of different texts ({told}) cannot be compared. Take another --output."
        )


def _write(path: Path, value: dict[str, Any]) -> None:
    """A JSON file that is there whole or not at all."""
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(value), encoding="utf-8")
    beside.replace(path)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
