"""The study in Markdown and in JSON: claims first, then every number they rest on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from gpt4video.training.norms.claims import VERDICTS, checked
from gpt4video.training.norms.config import EMBEDDINGS
from gpt4video.training.norms.results import (
    Arm,
    Group,
    Results,
    Spread,
    first_by_last,
    fp16_share,
    largest_anywhere,
    largest_by_least,
    later_half,
)

MOMENTS = {"start": 0.0, "middle": 0.5, "end": 1.0}


def markdown(results: Results) -> str:
    """The whole report."""
    parts = [
        "# Where to normalise",
        _setup(results),
        "## What the papers claim and what was measured",
        claims_table(results),
        "## Loss: held-out nats a token, mean ± standard deviation over seeds (seeds; how many diverged)",
        _loss_table(results),
        _winner(results),
        "## Divergences by learning rate",
        _divergences(results),
        "## Gradient norms by layer: the first layer's by the last's, and the largest by the least",
        _rows(results, _gradient_columns()),
        "## The residual stream: variance, and the largest activation beside what 16-bit floats can hold",
        _rows(results, _stream_columns()),
        "## Layers: how far one turns the last token, and what is lost without it",
        _rows(results, _layer_columns()),
        "## Pre-LN, Pre-RMSNorm, Pre-CRMSNorm: error against the Pre-LN original, by the largest output",
        _exactness(results),
        f"## Speed: {results.norms['speed']['of']}",
        _speed(results),
        CAVEATS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


CAVEATS = """## Read with care

- These are small decoders, trained briefly: a few seeds, differences of a few hundredths of a nat are noise.
- Short trainings favour placements whose branches start small (pre, lns) over peri, whose start at one.
- The word for the embeddings stands beside every number, because it changes the order of the placements.
- CRMSNorm is rotated before a channel is dropped (`models/crmsnorm.py`); the paper's is `written out`."""


def claims_table(results: Results) -> str:
    """The claims, what was measured, and whether it agrees."""
    rows = [(c.paper, c.text, told, VERDICTS[held]) for c, told, held in checked(results)]
    return table(("paper", "claim", "measured here", "holds"), rows)


def _setup(results: Results) -> str:
    if not results.arms:
        return "Nothing has been trained yet."
    setting, found = results.arms[0].setting, results.arms[0].found
    model, training = setting.model, setting.training
    minutes = sum(arm.found["seconds"] for arm in results.arms) / 60
    words = "; ".join(
        f"`{word}`: fresh embeddings of standard deviation {EMBEDDINGS[word][0]:.3g}"
        + (", then normalised" if EMBEDDINGS[word][1] else ", as they are")
        for word in results.distinct("embedding")
    )
    return (
        f"{len(results.arms)} decoders of width {model.width}, {model.heads} heads, {model.norm_kind}, on "
        f"the {found['text']}. {training.steps} steps of {training.batch} x {model.context} tokens, Adam, no "
        "weight decay, no clipping, a tenth of warm-up, cosine to a tenth. "
        f"Knowing the frequencies alone is {found['unigram_entropy']:.3f} nats; an arm within 0.1 of it, or "
        f"that broke, has diverged. How the stream starts: {words}. "
        f"{minutes:.0f} minutes of training in all, on {found['device']}, torch {found['torch']}."
    )


def _loss_table(results: Results) -> str:
    placements = results.distinct("placement")
    keys = list(dict.fromkeys((g.layers, g.rate, g.embedding) for g in results.groups))
    rows = []
    for layers, rate, embedding in sorted(keys, key=lambda k: (k[2], k[0], k[1])):
        cells = [_loss(results.group(p, layers, rate, embedding)) for p in placements]
        rows.append((str(layers), f"{rate:g}", embedding, *cells))
    return table(("layers", "rate", "embeddings", *placements), rows)


def _loss(group: Group | None) -> str:
    if group is None:
        return ""
    bad = f"; {group.diverged} diverged" if group.diverged else ""
    if group.loss is None:
        return f"broke ({len(group.arms)}{bad})"
    return f"{group.loss.mean:.3f} ± {group.loss.std:.3f} ({len(group.arms)}{bad})"


def _winner(results: Results) -> str:
    word = results.winner()
    if word is None:
        return ""
    told = "; ".join(
        f"{p} {b.loss.mean:.3f} ± {b.loss.std:.3f} at {b.rate:g}"
        for p in results.distinct("placement")
        if (b := results.best(p)) is not None and b.loss is not None
    )
    return (
        f"Each at its best rate, {results.main_layers} layers, normalised embeddings: {told}. By the rule, "
        f"the least loss, and peri where it is within one standard error: **{word}**."
    )


def _divergences(results: Results) -> str:
    placements = results.distinct("placement")
    rows = []
    for rate in results.distinct("rate"):
        cells = []
        for placement in placements:
            groups = [
                g for g in results.groups if (g.placement, g.rate, g.embedding) == (placement, rate, "norm")
            ]
            total = sum(len(group.arms) for group in groups)
            cells.append(f"{sum(group.diverged for group in groups)} of {total}" if total else "")
        rows.append((f"{rate:g}", *cells))
    return table(("rate", *placements), rows)


Column = tuple[str, Callable[[Group], Spread | None]]


def _of(read: Callable[[Arm], float | None]) -> Callable[[Group], Spread | None]:
    return lambda group: group.figure(read)


def _gradient_columns() -> list[Column]:
    reads = {"first / last": first_by_last, "largest / least": largest_by_least}
    return [
        (f"{what}, {word}", partial(_gradient, read=read, share=share))
        for what, read in reads.items()
        for word, share in MOMENTS.items()
    ]


def _gradient(
    group: Group, read: Callable[[list[float] | None], float | None], share: float
) -> Spread | None:
    return group.figure(lambda arm: read(arm.gradients(share)))


def _stream_columns() -> list[Column]:
    return [
        *(
            (f"variance after the last, {word}", partial(_variance, share=share))
            for word, share in MOMENTS.items()
        ),
        ("largest ever", _of(largest_anywhere)),
        ("% of the fp16 limit", _of(_percent_of_fp16)),
        ("gradient spikes", _of(lambda arm: float(arm.found["spikes"]))),
    ]


def _variance(group: Group, share: float) -> Spread | None:
    return group.figure(lambda arm: _last(arm.stream("variance", share)))


def _layer_columns() -> list[Column]:
    return [
        ("angle a layer, all", _of(lambda arm: _mean(arm.neighbours()))),
        ("angle, deeper half", _of(lambda arm: later_half(arm.neighbours()))),
        ("loss without a layer, all", _of(lambda arm: _mean(arm.removal()))),
        ("without one of the deeper half", _of(lambda arm: later_half(arm.removal()))),
    ]


def _last(values: list[float] | None) -> float | None:
    return None if not values else values[-1]


def _mean(values: list[float] | None) -> float | None:
    return None if not values else sum(values) / len(values)


def _percent_of_fp16(arm: Arm) -> float | None:
    largest = largest_anywhere(arm)
    return None if largest is None else 100 * fp16_share(largest)


def _rows(results: Results, columns: Sequence[Column]) -> str:
    head = ("placement", "layers", "rate", "embeddings", *(name for name, _ in columns))
    rows = [
        (g.placement, str(g.layers), f"{g.rate:g}", g.embedding, *(_number(read(g)) for _, read in columns))
        for g in sorted(results.groups, key=lambda g: (g.embedding, g.layers, g.rate))
    ]
    return table(head, rows)


def _number(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.mean:.3g}"


def _exactness(results: Results) -> str:
    rows = [
        (model, kind, *(f"{errors[dtype]:.1e}" if dtype in errors else "" for dtype in _DTYPES))
        for model, kinds in results.norms["exactness"].items()
        for kind, errors in kinds.items()
    ]
    return table(("model", "norm", *_DTYPES), rows)


_DTYPES = ("float64", "float32", "bfloat16")


def _speed(results: Results) -> str:
    rows = [
        (what, name, f"{1000 * figures['seconds']:.3g} ms", f"{figures['ratio']:.3f}")
        for what, variants in results.norms["speed"].items()
        if what != "of"
        for name, figures in variants.items()
    ]
    return table(("what", "norm", "median", "time by LayerNorm's"), rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(results: Results) -> dict[str, Any]:
    """Every figure of the report, and the profiles over layers and over the training that the plots draw."""
    return {
        "setup": _setup(results),
        "claims": [
            {"paper": claim.paper, "claim": claim.text, "measured": told, "holds": held}
            for claim, told, held in checked(results)
        ],
        "winner": results.winner(),
        "groups": [_group_json(group) for group in results.groups],
        **results.norms,
    }


def _group_json(group: Group) -> dict[str, Any]:
    columns = [*_gradient_columns(), *_stream_columns(), *_layer_columns()]
    shares = group.arms[0].setting.training.moments
    return {
        "placement": group.placement,
        "layers": group.layers,
        "rate": group.rate,
        "embeddings": group.embedding,
        "seeds": [arm.setting.seed for arm in group.arms],
        "validation": [arm.found["validation"] for arm in group.arms],
        "loss": None if group.loss is None else asdict(group.loss),
        "bits_per_token": None if group.loss is None else group.loss.mean / math.log(2),
        "diverged": group.diverged,
        "figures": {
            name: None if (spread := read(group)) is None else asdict(spread) for name, read in columns
        },
        "gradients": {
            word: group.profile(lambda arm, share=share: arm.gradients(share))  # type: ignore[misc]
            for word, share in MOMENTS.items()
        },
        "stream": {
            f"{figure} at {share:g}": group.profile(
                lambda arm, figure=figure, share=share: arm.stream(figure, share)  # type: ignore[misc]
            )
            for figure in ("variance", "mean", "largest")
            for share in shares
        },
        "angles": group.profile(Arm.neighbours),
        "removal": group.profile(Arm.removal),
    }
