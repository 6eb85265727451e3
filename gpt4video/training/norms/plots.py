"""The study's pictures, each as PNG and as SVG. They need matplotlib, which nothing else here does.

A picture is a row of `PLOTS`: a file name and a function that draws on a figure, or says that its arms are
not there.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpt4video.training.norms.measure import FP16_LIMIT
from gpt4video.training.norms.results import Arm, Group, Results

MISSING = (
    "matplotlib is not here. Install it (pip install 'gpt4video[plots]') and run the same command again."
)

COLORS = {
    "pre": "tab:blue",
    "post": "tab:red",
    "mix": "tab:purple",
    "peri": "tab:green",
    "lns": "tab:cyan",
    "deepnorm": "tab:orange",
    "output": "tab:brown",
}


def installed() -> bool:
    """Whether matplotlib can be imported."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw what there are arms for; the files that were written."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, plot in PLOTS.items():
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        if not plot(results, figure):
            continue
        for suffix in ("png", "svg"):
            path = folder / f"{name}.{suffix}"
            figure.savefig(path, dpi=120, metadata={"Date": None} if suffix == "svg" else None)
            written.append(path)
    return written


def _loss_by_rate(results: Results, figure: Any) -> bool:
    groups = [g for g in results.groups if (g.layers, g.embedding) == (results.main_layers, "norm")]
    return _losses(figure, groups, "rate", f"{results.main_layers} layers", "peak learning rate", log=True)


def _loss_by_depth(results: Results, figure: Any) -> bool:
    if results.deepest is None:
        return False
    rate = results.deepest[1]
    groups = [g for g in results.groups if (g.rate, g.embedding) == (rate, "norm")]
    return _losses(figure, groups, "layers", f"peak learning rate {rate:g}", "layers", log=False)


def _losses(figure: Any, groups: list[Group], field: str, title: str, label: str, log: bool) -> bool:
    axes = figure.subplots()
    for placement, color in COLORS.items():
        own = sorted(
            (g for g in groups if g.placement == placement and g.loss), key=lambda g: getattr(g, field)
        )
        if own:
            points = [(getattr(g, field), g.loss.mean, g.loss.std) for g in own if g.loss]
            x, y, spread = zip(*points, strict=True)
            axes.errorbar(x, y, yerr=spread, label=placement, color=color, marker="o", capsize=3)
    if log:
        axes.set_xscale("log")
    axes.set(title=f"Held-out loss, {title}", xlabel=label, ylabel="nats a token")
    axes.legend()
    return bool(groups)


def _divergences(results: Results, figure: Any) -> bool:
    groups = [g for g in results.groups if (g.layers, g.embedding) == (results.main_layers, "norm")]
    axes = figure.subplots()
    rates = sorted({g.rate for g in groups})
    placements = list(dict.fromkeys(g.placement for g in groups))
    for place, placement in enumerate(placements):
        own = {g.rate: g.diverged / len(g.arms) for g in groups if g.placement == placement}
        x = [i + 0.8 * (place / len(placements) - 0.4) for i, rate in enumerate(rates) if rate in own]
        heights = [own[rate] for rate in rates if rate in own]
        axes.bar(x, heights, 0.8 / len(placements), label=placement, color=COLORS.get(placement))
    axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    axes.set(title="Share of seeds that diverged", xlabel="peak learning rate", ylim=(0, 1.05))
    axes.legend()
    return bool(groups)


def _gradients(results: Results, figure: Any) -> bool:
    return _profiles(
        results,
        figure,
        {word: _gradient(share) for word, share in (("start", 0.0), ("middle", 0.5), ("end", 1.0))},
        "Gradient norm",
    )


def _gradient(share: float) -> Callable[[Arm], list[float] | None]:
    return lambda arm: arm.gradients(share)


def _variance(results: Results, figure: Any) -> bool:
    shares = (("start", 0.0), ("middle", 0.5), ("end", 1.0))
    return _profiles(results, figure, {w: _stream("variance", s) for w, s in shares}, "Stream variance")


def _largest(results: Results, figure: Any) -> bool:
    shares = (("start", 0.0), ("middle", 0.5), ("end", 1.0))
    drawn = _profiles(results, figure, {w: _stream("largest", s) for w, s in shares}, "Largest activation")
    for axes in figure.axes:
        axes.axhline(FP16_LIMIT, color="black", linestyle=":", label="fp16 limit")
    return drawn


def _stream(figure: str, share: float) -> Callable[[Arm], list[float] | None]:
    return lambda arm: arm.stream(figure, share)


def _layers(results: Results, figure: Any) -> bool:
    reads: dict[str, Callable[[Arm], list[float] | None]] = {
        "angle a layer turns by": Arm.neighbours,
        "loss without the layer": Arm.removal,
    }
    return _profiles(results, figure, reads, "After training", log=False)


def _profiles(
    results: Results,
    figure: Any,
    reads: dict[str, Callable[[Arm], list[float] | None]],
    title: str,
    log: bool = True,
) -> bool:
    """One panel for each reading, a line for each placement, over the layers of the deepest models."""
    if results.deepest is None:
        return False
    depth, rate = results.deepest
    panels = figure.subplots(1, len(reads), squeeze=False)[0]
    for axes, (word, read) in zip(panels, reads.items(), strict=True):
        for placement, color in COLORS.items():
            group = results.group(placement, depth, rate)
            if group is not None and (values := group.profile(read)):
                axes.plot(values, label=placement, color=color)
        axes.set(title=word, xlabel="layer")
        if log:
            axes.set_yscale("log")
    panels[0].legend()
    figure.suptitle(f"{title}, {depth} layers, rate {rate:g}")
    return True


def _over_training(results: Results, figure: Any) -> bool:
    """The last layer's variance and the largest activation at each moment, at the greatest common rate."""
    rates = [g.rate for g in results.groups if (g.layers, g.embedding) == (results.main_layers, "norm")]
    if not rates:
        return False
    panels = figure.subplots(1, 2)
    for axes, (name, word) in zip(
        panels,
        (("variance", "variance after the last layer"), ("largest", "largest activation")),
        strict=True,
    ):
        for placement, color in COLORS.items():
            group = results.group(placement, results.main_layers, max(rates))
            if group is None:
                continue
            shares = group.arms[0].setting.training.moments
            found = [(s, group.profile(_stream(name, s))) for s in shares]
            points = [(s, values[-1] if name == "variance" else max(values)) for s, values in found if values]
            if points:
                axes.plot(*zip(*points, strict=True), label=placement, color=color, marker="o")
        axes.set(title=word, xlabel="share of the training", yscale="log")
    panels[1].axhline(FP16_LIMIT, color="black", linestyle=":", label="fp16 limit")
    panels[1].legend()
    figure.suptitle(f"The stream over the training, {results.main_layers} layers, rate {max(rates):g}")
    return True


def _angles(results: Results, figure: Any) -> bool:
    """Raw angular distances between what enters layer l and layer l + n, a panel for each placement."""
    if results.deepest is None:
        return False
    depth, rate = results.deepest
    groups = [g for p in COLORS if (g := results.group(p, depth, rate)) is not None]
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    image = None
    for axes, group in zip(panels, groups, strict=True):
        rows = [_square(arm.found["angles"]) for arm in group.arms]
        cells = [
            [sum(row[n][x] for row in rows) / len(rows) for x in range(depth)] for n in reversed(range(depth))
        ]
        image = axes.imshow(cells, vmin=0, vmax=0.5, extent=(0, depth, 1, depth + 1), aspect="auto")
        axes.set(title=group.placement, xlabel="layer l", ylabel="n")
    figure.colorbar(image, ax=list(panels), label="angular distance")
    figure.suptitle(f"Between what enters layer l and layer l + n, {depth} layers, rate {rate:g}")
    return True


def _square(angles: list[list[float | None]]) -> list[list[float]]:
    """[n - 1][l], not a number where there is no such layer."""
    depth = len(angles)
    none = float("nan")
    return [
        [
            none if n >= len(angles[layer]) or (value := angles[layer][n]) is None else value
            for layer in range(depth)
        ]
        for n in range(depth)
    ]


def _speed(results: Results, figure: Any) -> bool:
    timed = {what: found for what, found in results.norms["speed"].items() if what != "of"}
    panels = figure.subplots(1, len(timed), squeeze=False)[0]
    for axes, (what, variants) in zip(panels, timed.items(), strict=True):
        axes.barh(list(variants), [figures["ratio"] for figures in variants.values()])
        axes.axvline(1.0, color="black", linestyle=":")
        axes.set(title=what, xlabel="time by LayerNorm's")
        axes.invert_yaxis()
    return True


PLOTS: dict[str, Callable[[Results, Any], bool]] = {
    "loss_by_rate": _loss_by_rate,
    "loss_by_depth": _loss_by_depth,
    "divergences": _divergences,
    "gradients": _gradients,
    "variance": _variance,
    "largest_activation": _largest,
    "over_training": _over_training,
    "layers": _layers,
    "angles": _angles,
    "speed": _speed,
}
"""File name -> what it shows."""
