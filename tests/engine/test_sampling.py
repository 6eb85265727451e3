"""Tokens by lot come as often as they are likely, and only those that may."""

from collections import Counter

import pytest
import torch

from gpt4video.engine.sampling import Sampler, choose
from gpt4video.messages import SamplingParams

PROBABILITIES = torch.tensor([0.1, 0.5, 0.05, 0.3, 0.05])
LOGITS = PROBABILITIES.log()
DRAWS = 4000


def often(**params):
    sampler = Sampler(SamplingParams(seed=0, **params))
    return Counter(sampler.draw(LOGITS) for _ in range(DRAWS))


def test_tokens_come_as_often_as_they_are_likely():
    counts = often(temperature=1.0)
    for token, probability in enumerate(PROBABILITIES.tolist()):
        assert counts[token] / DRAWS == pytest.approx(probability, abs=0.03)


@pytest.mark.parametrize(
    ("params", "allowed"),
    [
        ({"top_k": 2}, {1, 3}),
        ({"top_k": 99}, {0, 1, 2, 3, 4}),
        ({"top_p": 0.45}, {1}),
        ({"top_p": 0.75}, {1, 3}),
        ({"top_p": 0.85}, {0, 1, 3}),
        ({"top_p": 1e-9}, {1}),
        ({"top_k": 3, "top_p": 0.6}, {1, 3}),
    ],
)
def test_only_tokens_within_top_k_and_top_p_come(params, allowed):
    assert set(often(temperature=1.0, **params)) == allowed


def test_a_low_temperature_is_nearly_greedy_and_a_high_one_nearly_even():
    assert set(often(temperature=1e-300)) == {1}
    assert min(often(temperature=100.0).values()) > DRAWS / 5 * 0.8


def test_a_batch_may_be_greedy_and_not_at_once():
    greedy, drawn = Sampler(SamplingParams()), Sampler(SamplingParams(temperature=1.0, seed=3))
    twin = Sampler(SamplingParams(temperature=1.0, seed=3))
    rows = [choose(torch.stack([LOGITS, LOGITS]), [greedy, drawn]) for _ in range(50)]
    assert {row[0] for row in rows} == {1}
    assert [row[1] for row in rows] == [twin.draw(LOGITS) for _ in range(50)]
