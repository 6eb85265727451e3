"""A Pre-LN transformer said again with RMSNorm, or with CRMSNorm and one channel less; the same function.

After Jiang et al. 2023, arXiv 2305.14858. A Pre-LN model reads its stream x only through LayerNorms,

    LN(x) = gamma * (C x) / sqrt(|C x|^2 / d + eps) + beta,     C x = x - mean(x),

so C x may stand in the place of x, and a norm that need not centre is RMSNorm. Three steps make it so:

    fold     a norm's gamma and beta into the linear maps that read it   b += W beta, then W *= gamma
    centre   every linear map that writes to the stream                  W -= mean of its rows, b -= mean(b)
             and, once, what enters the first block                      x -= mean(x)
    drop     (CRMSNorm) the last channel, as what sums to zero has one to spare

`narrow` and `widen` below drop it and put it back. The paper drops the last channel as it is and makes up for
it in the norm, by (sum of the others)^2; in 16 bits that is up to twice as far from the original as LayerNorm
itself. A rotation first, which carries the direction of all ones to the last channel, leaves lengths alone:
the norm is the plain kernel, and rounding costs no more than before.

The last norm keeps its gamma and beta and gives all d channels, so that whatever reads it (a projection, a
tied head, a caller) stays as it is. What enters is centred where it enters, not in the tables it comes from:
tables may be tied to a head, and callers may bring embeddings of their own.

The work is done in 64 bits and the weights cast back. A converted model is for inference: trained further it
is a valid model, but no longer the Pre-LN one. It lives in memory; the checkpoint to keep is the original.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from gpt4video.errors import ConfigError
from gpt4video.models.maps import Map
from gpt4video.models.pre_ln import Stream, Write, guard, streams_of

Kind = Literal["rmsnorm", "crmsnorm"]


def convert_norms(model: nn.Module, kind: Kind = "rmsnorm") -> nn.Module:
    """Rewrite a Pre-LN model in place, and give it back: equal outputs, RMSNorm or CRMSNorm inside.

    It takes open_clip's `CLIP`, `CustomTextCLIP` and their two towers; of transformers CLIP (both towers,
    with and without projection, or together), GPT-2 and ViT; and our own backbone with
    `norm_kind="layernorm"`, pre or lns. Raises `ConfigError` with the reason, and changes nothing, where
    an equal model cannot be made this way.
    """
    if kind not in ("rmsnorm", "crmsnorm"):
        raise ConfigError(f"kind must be rmsnorm or crmsnorm, got {kind!r}.")
    streams = streams_of(model)
    for stream in streams:
        _check(stream)
    for stream in streams:
        _rewrite(stream, compress=kind == "crmsnorm")
    guard(model)
    return model


def _check(stream: Stream) -> None:
    """Raise `ConfigError` for norms that are no LayerNorms over the stream."""
    for owner, name in (*((read.owner, read.name) for read in stream.reads), stream.last):
        norm = getattr(owner, name)
        if not isinstance(norm, nn.LayerNorm):
            raise ConfigError(
                f"{name} of {type(owner).__name__} is {type(norm).__name__}, not LayerNorm: there is nothing "
                "to convert."
            )


@torch.no_grad()
def _rewrite(stream: Stream, compress: bool) -> None:
    for read in stream.reads:
        norm: nn.LayerNorm = getattr(read.owner, read.name)
        for linear in read.maps:
            _fold(linear, norm, read.damp, compress)
        setattr(read.owner, read.name, _plain(norm, compress))
    for write in stream.writes:
        _centre(write, compress)
    owner, name = stream.last
    setattr(owner, name, LastNorm(getattr(owner, name), compress))
    stream.first.register_forward_pre_hook(Entrance(compress))


def narrow(x: Tensor) -> Tensor:
    """(..., d) that sums to zero to (..., d - 1) of the same length: the last channel goes to all others."""
    return x[..., :-1] - x[..., -1:] / (x.shape[-1] ** 0.5 + 1)


def widen(x: Tensor) -> Tensor:
    """The inverse, (..., d - 1) to (..., d)."""
    root = (x.shape[-1] + 1) ** 0.5
    last = -x.sum(-1, keepdim=True) / root
    return torch.cat((x + last / (root + 1), last), dim=-1)


def _plain(norm: nn.LayerNorm, compress: bool) -> nn.Module:
    """The norm without centring, gamma and beta."""
    (width,) = norm.normalized_shape
    kept = width - int(compress)
    # It divides by the channels that are kept where d are meant; eps and `_fold` make up for that.
    return nn.RMSNorm(kept, eps=norm.eps * width / kept, elementwise_affine=False)


def _fold(linear: Map, norm: nn.LayerNorm, damp: float, compress: bool) -> None:
    """The same map after a norm without gamma and beta."""
    weight, bias = linear.get()
    weight = weight.double()
    wide = None if bias is None else bias.double()
    if norm.bias is not None:
        shift = damp * (weight @ norm.bias.double())
        wide = shift if wide is None else wide + shift
    if norm.weight is not None:
        weight = weight * norm.weight.double()
    if compress:  # W widen(x) as one map; a rotation's inverse is its transpose
        width = weight.shape[1]
        weight = narrow(weight - weight.mean(1, keepdim=True)) * (width / (width - 1)) ** 0.5
    linear.set(weight, wide)


def _centre(write: Write, compress: bool) -> None:
    """The same map, whose outputs sum to zero; one fewer of them where the stream is compressed."""
    weight, bias = write.map.get()
    weight = weight.double()
    wide = None if bias is None else bias.double()
    if write.scale is not None:
        owner, name = write.scale
        gamma = getattr(owner, name).gamma.double()
        weight = gamma[:, None] * weight
        wide = None if wide is None else gamma * wide
        setattr(owner, name, nn.Identity())
    weight = weight - weight.mean(0)
    wide = None if wide is None else wide - wide.mean()
    if compress:
        weight, wide = narrow(weight.T).T, None if wide is None else narrow(wide)
    write.map.set(weight, wide)


class Entrance:
    """What the first block does before all else: subtract each token's mean; compressed, drop a channel."""

    def __init__(self, compress: bool) -> None:
        self.compress = compress

    def __call__(self, block: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """A forward pre-hook."""
        x: Tensor = args[0]
        x = x - x.mean(-1, keepdim=True)
        return (narrow(x) if self.compress else x, *args[1:])


class LastNorm(nn.Module):
    """The last norm: RMS of a stream that sums to zero, its dropped channel put back, then gamma and beta."""

    def __init__(self, norm: nn.LayerNorm, compress: bool) -> None:
        super().__init__()
        self.width, self.eps, self.compress = norm.normalized_shape[0], norm.eps, compress
        self.weight, self.bias = norm.weight, norm.bias
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d), or (..., d - 1) where compressed, to (..., d)."""
        if self.compress:
            x = widen(x.to(torch.promote_types(x.dtype, torch.float32))).to(x.dtype)
        if self.bias is None:
            return nn.functional.rms_norm(x, (self.width,), self.weight, self.eps)
        return torch.addcmul(self.bias, nn.functional.rms_norm(x, (self.width,), eps=self.eps), self.weight)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"{self.width}, eps={self.eps}, compress={self.compress}"
