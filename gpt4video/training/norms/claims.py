"""What the papers claim, and what was found: a table whose last word is yes, no, or not measured.

A check gives (what was measured, in words; whether it agrees), or None where its arms have not been run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

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
    straightness,
)

Found = tuple[str, bool] | None
MIX, PERI, CRMS, LNS = "Mix-LN", "Peri-LN", "CRMSNorm", "LNS"


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper, and how it is checked here."""

    paper: str
    text: str
    check: Callable[[Results], Found]


def _lower(results: Results, ours: str, theirs: str) -> Found:
    """Each at its best rate: is the loss lower by more than one standard error?"""
    a, b = results.best(ours), results.best(theirs)
    if a is None or b is None or a.loss is None or b.loss is None or min(a.loss.n, b.loss.n) < 2:
        return None
    told = f"{ours} {_pm(a.loss)} at {a.rate:g}, {theirs} {_pm(b.loss)} at {b.rate:g}"
    return told, b.loss.mean - a.loss.mean > (a.loss.error**2 + b.loss.error**2) ** 0.5


def _lower_when_deep(results: Results, ours: str, theirs: str) -> Found:
    """At the greatest depth and one rate."""
    a, b = _deep(results, ours), _deep(results, theirs)
    if a is None or b is None or a.loss is None or b.loss is None or min(a.loss.n, b.loss.n) < 2:
        return None
    told = f"{a.layers} layers, rate {a.rate:g}: {ours} {_pm(a.loss)}, {theirs} {_pm(b.loss)}"
    told += _collapsed(a, b)
    return told, b.loss.mean - a.loss.mean > (a.loss.error**2 + b.loss.error**2) ** 0.5


def _deep(results: Results, placement: str) -> Group | None:
    return None if results.deepest is None else results.group(placement, *results.deepest)


def _collapsed(*groups: Group | None) -> str:
    """Which of them diverged, to stand beside their figures: the layers of such a model say little."""
    told = [f"{g.placement} diverged in {g.diverged} of {len(g.arms)}" for g in groups if g and g.diverged]
    return f"; {', '.join(told)}" if told else ""


def _figure(group: Group | None, of: Callable[[Arm], float | None]) -> Spread | None:
    return None if group is None else group.figure(of)


def _gradients_fall(results: Results) -> Found:
    return _slope(results, "pre", lambda ratio: ratio > 1)


def _gradients_rise(results: Results) -> Found:
    return _slope(results, "post", lambda ratio: ratio < 1)


def _slope(results: Results, placement: str, holds: Callable[[float], bool]) -> Found:
    group = _deep(results, placement)
    ratio = _figure(group, lambda arm: first_by_last(arm.gradients(0.5)))
    if group is None or ratio is None:
        return None
    told = f"first layer / last, halfway: {ratio.mean:.2g} ({group.layers} layers){_collapsed(group)}"
    return told, holds(ratio.mean)


def _mix_is_even(results: Results) -> Found:
    uneven: dict[str, float] = {}
    for placement in ("mix", "pre", "post"):
        group = _deep(results, placement)
        spread = _figure(group, lambda arm: largest_by_least(arm.gradients(0.5)))
        if spread is None:
            return None
        uneven[placement] = spread.mean
    told = ", ".join(f"{placement} {value:.2g}" for placement, value in uneven.items())
    told += _collapsed(*(_deep(results, placement) for placement in uneven))
    return f"largest / least layer, halfway: {told}", uneven["mix"] == min(uneven.values())


def _mix_is_between(results: Results) -> Found:
    counts: dict[str, tuple[int, int]] = {}
    rates = _common_rates(results, ("pre", "mix", "post"))
    for placement in ("pre", "mix", "post"):
        groups = [g for rate in rates if (g := results.group(placement, results.main_layers, rate))]
        counts[placement] = (sum(g.diverged for g in groups), sum(len(g.arms) for g in groups))
    if not all(total for _, total in counts.values()):
        return None
    told = ", ".join(f"{placement} {bad} of {total}" for placement, (bad, total) in counts.items())
    shares = [bad / total for bad, total in counts.values()]
    return f"diverged over all rates: {told}", shares == sorted(shares) and shares[0] < shares[-1]


def _common_rates(results: Results, placements: tuple[str, ...]) -> list[float]:
    return [
        rate
        for rate in results.distinct("rate")
        if all(results.group(placement, results.main_layers, rate) for placement in placements)
    ]


def _deep_layers_work(results: Results) -> Found:
    mix, pre = _deep(results, "mix"), _deep(results, "pre")
    if mix is None or pre is None:
        return None
    found: list[tuple[Spread, Spread]] = []
    for read in (Arm.neighbours, Arm.removal):
        ours = mix.figure(lambda arm, read=read: later_half(read(arm)))  # type: ignore[misc]
        theirs = pre.figure(lambda arm, read=read: later_half(read(arm)))  # type: ignore[misc]
        if ours is None or theirs is None:
            return None
        found.append((ours, theirs))
    (angle, angle_pre), (rise, rise_pre) = found
    told = (
        f"deeper half: angle a layer {angle.mean:.3f} against {angle_pre.mean:.3f} in pre, loss without one "
        f"+{rise.mean:.3f} against +{rise_pre.mean:.3f}"
    )
    told += _collapsed(mix, pre)
    return told, angle.mean > angle_pre.mean and rise.mean > rise_pre.mean


def _peri_is_linear(results: Results) -> Found:
    group = _deep(results, "peri")
    values = [] if group is None else group.profile(lambda arm: arm.stream("variance"))
    if not values:
        return None
    told = f"variance {values[0]:.2g} to {values[-1]:.3g} over {len(values) - 1} layers, R^2 of a line"
    fit = straightness(values)
    return f"{told} {fit:.3f}", fit >= 0.95


def _peri_is_calm(results: Results) -> Found:
    rates = _common_rates(results, ("pre", "peri"))
    found: dict[str, Spread] = {}
    for placement in ("peri", "pre"):
        group = results.group(placement, results.main_layers, rates[-1]) if rates else None
        largest = _figure(group, largest_anywhere)
        if largest is None:
            return None
        found[placement] = largest
    told = ", ".join(f"{p} {s.mean:.3g} ({100 * fp16_share(s.mean):.2g} % of fp16)" for p, s in found.items())
    return f"largest activation at rate {rates[-1]:g}: {told}", found["peri"].mean < found["pre"].mean / 2


def _peri_is_steady(results: Results) -> Found:
    a, b = results.best("peri"), results.best("pre")
    if a is None or b is None or a.loss is None or b.loss is None or min(a.loss.n, b.loss.n) < 2:
        return None
    told = f"standard deviation over seeds: peri {a.loss.std:.4f}, pre {b.loss.std:.4f}"
    return told, a.loss.std < b.loss.std / 2


def _embeddings_decide(results: Results) -> Found:
    orders: dict[str, list[str]] = {}
    rates = [g.rate for g in results.groups if g.embedding == "small"]
    if not rates:
        return None
    layers = next(g.layers for g in results.groups if g.embedding == "small")
    for embedding in ("norm", "small"):
        losses = {
            group.placement: group.loss.mean
            for group in results.groups
            if (group.layers, group.rate, group.embedding) == (layers, rates[0], embedding) and group.loss
        }
        orders[embedding] = sorted(losses, key=lambda p: losses[p])
    both = [p for p in orders["norm"] if p in orders["small"]]
    normed, small = both, [p for p in orders["small"] if p in both]
    if len(both) < 2:
        return None
    return f"normalised: {' < '.join(normed)}; std 0.02, no norm: {' < '.join(small)}", normed != small


def _exact(results: Results) -> Found:
    exactness = results.norms["exactness"]
    worst = {
        dtype: max(errors[kind][dtype] for errors in exactness.values() for kind in ("rmsnorm", "crmsnorm"))
        for dtype in ("float64", "float32")
    }
    bf16 = max(
        errors[kind]["bfloat16"] / errors["layernorm"]["bfloat16"]
        for errors in exactness.values()
        for kind in ("rmsnorm", "crmsnorm")
    )
    told = (
        f"largest relative error {worst['float64']:.1e} in float64, {worst['float32']:.1e} in float32; "
        f"in bfloat16 {bf16:.2f} of the original's own"
    )
    return told, worst["float64"] < 1e-12 and worst["float32"] < 1e-5 and bf16 <= 1.5


def _faster(results: Results, kind: str) -> Found:
    tower = results.norms["speed"]["CLIP image tower"][kind]["ratio"]
    gain = 100 * (1 - tower)
    return f"a CLIP image tower takes {tower:.3f} of the time with LayerNorm", gain >= 1


CLAIMS = (
    Claim(MIX, "Lower loss than Pre-LN in deep models", partial(_lower_when_deep, ours="mix", theirs="pre")),
    Claim(MIX, "Lower loss than Pre-LN, each at its best rate", partial(_lower, ours="mix", theirs="pre")),
    Claim(MIX, "Pre-LN's gradients fall with depth", _gradients_fall),
    Claim(MIX, "Post-LN's gradients rise with depth", _gradients_rise),
    Claim(MIX, "Mix-LN's gradients are the most even", _mix_is_even),
    Claim(MIX, "Mix-LN's deeper layers contribute more than Pre-LN's", _deep_layers_work),
    Claim("Mix-LN, re-runs", "Mix-LN is between Pre-LN and Post-LN in stability", _mix_is_between),
    Claim(PERI, "Lower loss than Pre-LN, each at its best rate", partial(_lower, ours="peri", theirs="pre")),
    Claim(PERI, "The stream's variance grows linearly with depth", _peri_is_linear),
    Claim(PERI, "Largest activations far below Pre-LN's", _peri_is_calm),
    Claim(PERI, "Spread over seeds less than half of Pre-LN's", _peri_is_steady),
    Claim(LNS, "Lower loss than Pre-LN", partial(_lower, ours="lns", theirs="pre")),
    Claim("re-runs", "How the stream starts changes which placement is best", _embeddings_decide),
    Claim(CRMS, "Pre-LN, Pre-RMSNorm and Pre-CRMSNorm are one function", _exact),
    Claim(CRMS, "Pre-RMSNorm is 1 to 10 % faster", partial(_faster, kind="rmsnorm")),
    Claim(CRMS, "Pre-CRMSNorm is 1 to 10 % faster", partial(_faster, kind="crmsnorm")),
)
"""In the order of the table."""

VERDICTS = {True: "yes", False: "no", None: "not measured"}


def checked(results: Results) -> list[tuple[Claim, str, bool | None]]:
    """Each claim with what was measured and whether it held; None where it was not measured."""
    rows: list[tuple[Claim, str, bool | None]] = []
    for claim in CLAIMS:
        found = claim.check(results)
        rows.append((claim, "", None) if found is None else (claim, *found))
    return rows


def _pm(loss: Spread) -> str:
    return f"{loss.mean:.3f} ± {loss.std:.3f}"
