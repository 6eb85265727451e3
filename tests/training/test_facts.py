"""The facts of a scene, and the head that reads them."""

import torch

from gpt4video.shapes.world import COLORS, MOTIONS, SHAPES, Scene, Thing
from gpt4video.training.facts import UNKNOWN, FactsHead, facts_of

SCENE = Scene((Thing("red", "circle", "small", "left"), Thing("blue", "star", "large", "growing")), "navy")


def test_facts_say_what_the_scene_is():
    facts = facts_of([SCENE])
    red, blue = list(COLORS).index("red"), list(COLORS).index("blue")
    assert facts.present[0].nonzero().flatten().tolist() == sorted([red, blue])
    assert facts.fields["shape"][0, blue] == SHAPES.index("star")
    assert facts.fields["motion"][0, red] == MOTIONS.index("left")
    assert facts.fields["size"][0, blue] == UNKNOWN, "what grows has no size that can be named"
    assert facts.fields["shape"][0, list(COLORS).index("pink")] == UNKNOWN


def test_the_head_learns_facts_by_heart():
    torch.manual_seed(0)
    head, soft, facts = FactsHead(3, 16), torch.randn(4, 3, 16), facts_of([SCENE] * 4)
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(60):
        loss, right = head.loss(soft, facts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1
    assert all(share == 1.0 for share in right.values())
