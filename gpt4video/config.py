"""Configs are frozen dataclasses; YAML is a way of writing them down.

    read(MyConfig, {"widht": 3}, where="shapes.yaml")
    -> ConfigError: shapes.yaml: has no field 'widht'. Did you mean 'width'?

Nested dataclasses, optionals, tuples, lists, dicts and literals are checked by their type hints.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml

from gpt4video.errors import ConfigError, InputError

C = TypeVar("C")


def read(cls: type[C], data: Any, where: str) -> C:
    """Build dataclass `cls` from plain data; every misfit is a `ConfigError` that names `where`."""
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected a mapping of fields, got {data!r}.")
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" It has: {', '.join(names)}."
            raise ConfigError(f"{where}: has no field {key!r}.{hint}")
        values[key] = _fit(hints[key], value, f"{where}: {key}")
    try:
        return cls(**values)
    except InputError as error:
        raise ConfigError(f"{where}: {error.message}") from error
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _fit(hint: Any, value: Any, where: str) -> Any:
    """`value` as type `hint`, or a ConfigError."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        options = [a for a in args if a is not type(None)]
        errors = []
        for option in options:
            try:
                return _fit(option, value, where)
            except ConfigError as error:
                errors.append(error)
        raise errors[0]
    if origin is Literal:
        if value not in args:
            raise ConfigError(f"{where} must be one of {', '.join(map(repr, args))}, got {value!r}.")
        return value
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else read(hint, value, where)  # type: ignore[arg-type]
    if origin in (tuple, list):
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} must be a list, got {value!r}.")
        if origin is tuple and args and args[-1] is not Ellipsis:
            if len(args) != len(value):
                raise ConfigError(f"{where} must have {len(args)} entries, got {len(value)}.")
            return tuple(
                _fit(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True))
            )
        inner = args[0] if args else Any
        return origin(_fit(inner, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{where} must be a mapping, got {value!r}.")
        return {_fit(args[0], k, where): _fit(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 as a string
        try:
            return float(value)
        except ValueError:
            pass
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise ConfigError(f"{where} must be {hint.__name__}, got {value!r}.")
    return value


def read_yaml(path: Path) -> Any:
    """The plain data of a YAML file, or a ConfigError with the place of the mistake."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is not YAML: {error}") from error


def config_folder() -> Path:
    """Where the shipped configs live: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "configs"


def resolve(name: str) -> Path:
    """A config by path, or a shipped one by its name (with or without `.yaml`), from any folder."""
    path = Path(name)
    if path.exists():
        return path
    for candidate in (config_folder() / name, config_folder() / f"{name}.yaml", config_folder() / path.name):
        if candidate.is_file():
            return candidate
    shipped = ", ".join(sorted(p.stem for p in config_folder().glob("*.yaml")))
    raise ConfigError(f"There is no config {name!r}: neither a file nor one of the shipped ({shipped}).")
