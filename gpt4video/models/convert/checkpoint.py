"""A folder of safetensors into another folder, tensor by tensor: `families.py` says what becomes what.

    config.json, *.safetensors            read a tensor -> rename, reshape -> fill a file -> write it
    tokenizer, generation settings        copied

Tensors are read where they are needed and let go when the file they go to is written, so that no more than
one file's worth is in memory, however large the model.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoConfig
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

from gpt4video.errors import ConfigError
from gpt4video.models.convert.families import (
    NATIVE,
    Rule,
    family_of,
    rules_of,
    shapes_of,
    to_ours,
    to_theirs,
)

COPIED = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "chat_template*",
    "generation_config.json", "LICENSE*", "NOTICE*",
)  # fmt: skip
"""Files that a conversion takes along as they are."""

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
"""transformers' names for weights in one file, and for the list of files they are spread over."""


@dataclass(frozen=True)
class Converted:
    """What a conversion has made."""

    model_type: str
    """The family it is of now."""
    parameters: int
    """How many numbers."""
    files: tuple[str, ...]
    """The files of weights."""


def convert_checkpoint(
    source: str | Path, target: str | Path, to: str = NATIVE, file_size: int = 4 * 2**30
) -> Converted:
    """The checkpoint in folder `source` as one of family `to` in the new folder `target`.

    One of the two families is our own. Files of weights hold up to `file_size` bytes. The folder is there
    whole or not at all. Raises `ConfigError` for what cannot be converted; it names the field or the tensor.
    """
    source, target = Path(source), Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} exists; give the name of a new folder.")
    if not (source / "config.json").is_file():
        raise ConfigError(f"{source} is no folder of a checkpoint: it has no config.json.")
    config = AutoConfig.from_pretrained(source)
    if (config.model_type == NATIVE) == (to == NATIVE):
        raise ConfigError(
            f"{source} is {config.model_type!r} already, or neither it nor {to!r} is {NATIVE!r}."
        )
    weights = Weights(source)
    if to == NATIVE:
        family = family_of(config.model_type)
        made = native = to_ours(config)
        made.dtype = weights.dtype
        tensors = ours_from(weights, rules_of(family, native), shapes_of(native), family.ignored)
    else:
        made, native = to_theirs(config, to), config
        tensors = theirs_from(weights, rules_of(family_of(to), native), shapes_of(native))
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    unfinished.mkdir(parents=True)
    try:
        made.save_pretrained(unfinished)
        files, parameters = write(tensors, unfinished, file_size)
        for path in sorted({path for pattern in COPIED for path in source.glob(pattern)}):
            shutil.copyfile(path, unfinished / path.name)
        name_the_tokenizer(unfinished, config.model_type)
        if target.exists():
            target.rmdir()
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Converted(made.model_type, parameters, files)


class Weights:
    """The tensors of a folder of safetensors, read one at a time."""

    def __init__(self, folder: Path) -> None:
        if (folder / INDEX).is_file():
            files = set(json.loads((folder / INDEX).read_text())["weight_map"].values())
        elif (folder / WHOLE).is_file():
            files = {WHOLE}
        else:
            raise ConfigError(f"{folder} has no weights as safetensors: neither {WHOLE} nor {INDEX}.")
        self._handles: dict[str, Any] = {}
        for file in sorted(files):
            try:
                handle = safe_open(folder / file, framework="pt")
            except (OSError, SafetensorError) as error:
                raise ConfigError(f"Cannot read {folder / file}: {error}.") from error
            names: list[str] = handle.keys()  # type: ignore[no-untyped-call]
            self._handles |= dict.fromkeys(names, handle)
        self.names = list(self._handles)

    def read(self, name: str) -> Tensor:
        """One tensor."""
        tensor: Tensor = self._handles[name].get_tensor(name)
        return tensor

    def find(self, name: str) -> str | None:
        """What the file calls `name`: that, or without its first part where only the base model was saved."""
        return next((known for known in (name, name.partition(".")[2]) if known in self._handles), None)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the largest tensors; norms may be kept in another."""
        sizes = {name: self._handles[name].get_slice(name).get_shape() for name in self.names}
        largest = max(sizes, key=lambda name: torch.Size(sizes[name]).numel())
        return self.read(largest).dtype


def ours_from(
    weights: Weights, rules: dict[str, Rule], shapes: dict[str, tuple[int, ...]], ignored: str
) -> Iterator[tuple[str, Tensor]]:
    """Our tensors by name, made from another family's."""
    found = {theirs: weights.find(theirs) for theirs in rules}
    _complain("lacks", [theirs for theirs, name in found.items() if name is None])
    tied = {"lm_head.weight"} - rules.keys()  # some files repeat the embeddings
    extra = set(weights.names) - {*found.values(), *tied}
    _complain(
        "has, unknown to the family,", [name for name in sorted(extra) if not re.fullmatch(ignored, name)]
    )
    for theirs, rule in rules.items():
        name = found[theirs]
        assert name is not None, "complained of above"
        for ours, tensor in zip(rule.ours, rule.there(weights.read(name)), strict=True):
            if tuple(tensor.shape) != shapes[ours]:
                raise ConfigError(
                    f"Tensor {name} gives {ours} of shape {tuple(tensor.shape)}, and by the config that is "
                    f"{shapes[ours]}."
                )
            yield ours, tensor


def theirs_from(
    weights: Weights, rules: dict[str, Rule], shapes: dict[str, tuple[int, ...]]
) -> Iterator[tuple[str, Tensor]]:
    """Another family's tensors by name, made from ours, in the type that most of ours have."""
    _complain("lacks", [name for name in shapes if name not in weights.names])
    _complain("has, unknown to the config,", sorted(set(weights.names) - shapes.keys()))
    for theirs, rule in rules.items():
        tensors = tuple(weights.read(ours) for ours in rule.ours)
        for ours, tensor in zip(rule.ours, tensors, strict=True):
            if tuple(tensor.shape) != shapes[ours]:
                raise ConfigError(
                    f"Tensor {ours} is of shape {tuple(tensor.shape)}, and by the config {shapes[ours]}."
                )
        yield theirs, rule.back(tensors).to(weights.dtype)


def _complain(what: str, names: list[str]) -> None:
    """Raise `ConfigError` for tensors that should not be there, or should."""
    if names:
        rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise ConfigError(f"The checkpoint {what} {', '.join(names[:3])}{rest}.")


def write(tensors: Iterable[tuple[str, Tensor]], folder: Path, file_size: int) -> tuple[tuple[str, ...], int]:
    """Write tensors as files of up to `file_size` bytes, and their index; a larger one has a file of its own.

    Gives the files' names and how many numbers they hold.
    """
    files: list[list[str]] = []
    held: dict[str, Tensor] = {}
    size, total, parameters = 0, 0, 0

    def let_go() -> None:
        save_file(held, folder / f"{len(files)}.part", metadata={"format": "pt"})
        files.append(list(held))
        held.clear()

    for name, tensor in tensors:
        if held and size + tensor.nbytes > file_size:
            let_go()
            size = 0
        held[name] = tensor.clone(memory_format=torch.contiguous_format)
        size, total, parameters = size + tensor.nbytes, total + tensor.nbytes, parameters + tensor.numel()
    let_go()
    count = len(files)
    names = [WHOLE] if count == 1 else [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    for number, name in enumerate(names):
        (folder / f"{number}.part").rename(folder / name)
    if count > 1:
        where = {tensor: name for name, inside in zip(names, files, strict=True) for tensor in inside}
        index = {"metadata": {"total_size": total}, "weight_map": where}
        (folder / INDEX).write_text(json.dumps(index, indent=2))
    return tuple(names), parameters


def name_the_tokenizer(folder: Path, model_type: str) -> None:
    """Write down the tokenizer's class where it followed from the family, as in GPT-2's own files."""
    if not any(folder.glob("tokenizer*")) and not any(folder.glob("vocab.*")):
        return
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text()) if path.exists() else {}
    known = TOKENIZER_MAPPING_NAMES.get(model_type)
    if "tokenizer_class" not in settings and known is not None:
        settings["tokenizer_class"] = known if isinstance(known, str) else next(filter(None, reversed(known)))
        path.write_text(json.dumps(settings, indent=2))
