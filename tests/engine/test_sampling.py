"""Tokens by lot come as often as they are likely, and only those that may."""

from collections import Counter

import pytest
import torch

from gpt4video.engine.sampling import Sampler, check, choose
from gpt4video.errors import InputError
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
        ({"min_p": 0.5}, {1, 3}),
        ({"min_p": 1.0}, {1}),
        ({"min_p": 0.15, "top_k": 2}, {1, 3}),
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


def reply(count, logits=LOGITS, stops=(), **params):
    """The tokens of a reply whose scores are the same at every step."""
    sampler = Sampler(SamplingParams(**params), stops)
    return [choose(logits[None], [sampler])[0] for _ in range(count)]


def test_a_penalty_takes_from_what_the_reply_has_used():
    assert reply(5) == [1, 1, 1, 1, 1]
    # Likeliest first: each is used once before any comes again.
    assert reply(5, presence_penalty=10.0)[:3] == [1, 3, 0]
    assert sorted(reply(10, frequency_penalty=10.0)) == sorted([0, 1, 2, 3, 4] * 2)
    # Scores below 0 are multiplied, those above 0 divided: both lose.
    assert reply(3, repetition_penalty=9.0) == [1, 3, 0]
    assert reply(3, LOGITS + 4, repetition_penalty=9.0) == [1, 3, 0]


def test_a_presence_penalty_is_taken_once_and_a_frequency_penalty_each_time():
    gap = float(LOGITS[1] - LOGITS[3])
    assert reply(4, presence_penalty=0.9 * gap) == [1, 1, 1, 1]
    assert reply(4, frequency_penalty=0.6 * gap) == [1, 1, 3, 1]


def test_a_reply_does_not_end_before_its_least_length():
    assert reply(4, stops=[1, 3], min_tokens=2) == [0, 0, 1, 1]
    drawn = reply(200, stops=[1], min_tokens=100, temperature=1.0, seed=0)
    assert 1 not in drawn[:100] and 1 in drawn[100:]


def test_what_was_used_by_one_costs_the_others_nothing():
    mine, other = Sampler(SamplingParams(presence_penalty=5.0)), Sampler(SamplingParams())
    rows = [choose(torch.stack([LOGITS, LOGITS]), [mine, other]) for _ in range(3)]
    assert rows == [[1, 1], [3, 1], [0, 1]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_p", 1.5),
        ("repetition_penalty", 0.0),
        ("presence_penalty", float("nan")),
        ("frequency_penalty", float("inf")),
        ("min_tokens", -1),
        ("top_k", -1),
    ],
)
def test_numbers_that_cannot_be_sampled_by_are_named(name, value):
    with pytest.raises(InputError) as caught:
        check(SamplingParams(**{name: value}))
    assert caught.value.param == name
