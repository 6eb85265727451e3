"""The facts of a scene, and the heads that read them."""

import torch

from gpt4video.shapes.language.describe import Request, Wanted
from gpt4video.shapes.world import COLORS, MOTIONS, SHAPES, Scene, Thing
from gpt4video.training.facts import (
    ROWS,
    UNKNOWN,
    CellsHead,
    FactsHead,
    RecallHead,
    ToldHead,
    cells_of,
    facts_of,
    told_of,
)

SCENE = Scene((Thing("red", "circle", "small", "left"), Thing("blue", "star", "large", "growing")), "navy")


def learned(head, *given):
    """The loss, and what is right, after some steps on the same few examples."""
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(100):
        loss, right = head.loss(*given)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss, right


def test_facts_say_what_the_scene_is():
    facts = facts_of([SCENE])
    red, blue = list(COLORS).index("red"), list(COLORS).index("blue")
    assert facts.present[0].nonzero().flatten().tolist() == sorted([red, blue])
    assert facts.fields["shape"][0, blue] == SHAPES.index("star")
    assert facts.fields["motion"][0, red] == MOTIONS.index("left")
    assert facts.fields["size"][0, blue] == UNKNOWN, "what grows has no size that can be named"
    assert facts.fields["shape"][0, list(COLORS).index("pink")] == UNKNOWN


def test_facts_tell_what_an_object_becomes():
    things = (
        Thing("red", "circle", "small", "left", event="recolors", new_color="pink"),
        Thing("blue", "star", "large", "still"),
    )
    becomes = facts_of([Scene(things, "navy")]).fields["becomes"][0]
    names = list(COLORS)
    assert becomes[names.index("red")] == names.index("pink")
    assert becomes[names.index("blue")] == UNKNOWN


def test_the_head_learns_facts_by_heart():
    torch.manual_seed(0)
    head, soft, facts = FactsHead(3, 16), torch.randn(4, 3, 16), facts_of([SCENE] * 4)
    loss, right = learned(head, soft, facts)
    assert float(loss.detach()) < 0.1
    assert all(share == 1.0 for share in right.values())


def test_cells_say_what_covers_each_patch():
    things = (
        Thing("red", "square", "large", "still", x=-0.3125, y=0.0625, angle=0.1),
        Thing("blue", "circle", "small", "still", x=0.4375, y=-0.4375, event="appears"),
    )
    scene = Scene(things, "navy", 2.0)
    cells = cells_of([scene, scene], [0.0, 1.9], [1.0, 1.0], (8, 8))
    red, blue = list(COLORS).index("red"), list(COLORS).index("blue")
    at = 4 * 8 + 1  # the centre of this patch is (-0.3125, 0.0625)
    assert (cells.shape[0, at], cells.color[0, at]) == (SHAPES.index("square"), red)
    radius = 8 * 0.205
    torch.testing.assert_close(
        cells.pose[0, at], torch.tensor([0, 0, radius, 0.921061, 0.389418]), atol=1e-5, rtol=1e-5
    )
    assert cells.pose[0, at + 1, 0] == -1, "seen from the patch to the right, the centre lies to the left"
    assert cells.color[:, 7].tolist() == [UNKNOWN, blue], "nothing is there before it appears"
    assert cells.pose[1, 7, 3:].tolist() == [0, 0], "nobody can say how a circle is turned"
    assert (cells.shape[0] != UNKNOWN).sum() < 16


def test_cells_follow_a_picture_that_was_squeezed():
    scene = Scene((Thing("red", "circle", "large", "still", x=0.75, y=0.0),), "navy", 2.0)
    wide = cells_of([scene], [0.0], [2.0], (8, 8))
    covered = (wide.shape[0].view(8, 8) != UNKNOWN).nonzero()
    assert set(covered[:, 0].tolist()) == {3, 4} and set(covered[:, 1].tolist()) == {6, 7}


def test_the_head_of_cells_learns_by_heart():
    torch.manual_seed(0)
    head, patches = CellsHead(16), torch.randn(1, 64, 16)
    cells = cells_of([SCENE], [0.5], [1.0], (8, 8))
    _, right = learned(head, patches, cells)
    assert all(share == 1.0 for share in right.values())


REQUEST = Request((Wanted("star", "red", motion="left"), Wanted("ring")), "navy")


def test_what_a_request_leaves_unsaid_is_told_apart():
    told = told_of([REQUEST, Request((Wanted("circle", "blue"),))])
    red, unsaid = ROWS.index("red"), ROWS.index(None)
    assert told.present[0].nonzero().flatten().tolist() == [red, unsaid]
    assert told.fields["shape"][0, red] == SHAPES.index("star")
    assert told.fields["motion"][0, unsaid] == len(MOTIONS), "its motion is unsaid"
    assert told.fields["motion"][0, ROWS.index("pink")] == UNKNOWN, "nothing is asked of what is not there"
    assert told.background.tolist() == [3, 4]


def test_the_head_of_words_learns_by_heart():
    torch.manual_seed(0)
    head, embeddings, told = ToldHead(16), torch.randn(4, 16), told_of([REQUEST] * 4)
    _, right = learned(head, embeddings, told)
    assert all(share == 1.0 for share in right.values())


def test_the_last_words_are_asked_back_at_each_word():
    torch.manual_seed(0)
    ids = torch.tensor([[1, 5, 6, 7, 2, 0], [1, 8, 5, 9, 6, 2]])
    states = torch.nn.functional.one_hot(torch.arange(12), 16).view(2, 6, 16).float()
    head = RecallHead(16, 10)
    _, right = learned(head, states, ids, 0)
    assert right == 1.0
    said = head.out(states[1, 5]).view(4, 10).argmax(-1)
    assert said.tolist() == [2, 6, 9, 5], "the last word first"
