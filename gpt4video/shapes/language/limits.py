"""Wishes that cannot be met, and what is replied: things outside the world of shapes.

Nouns are held out too (every tenth is seen in validation only, another in test only): a model must decline
words that it never met.
"""

from __future__ import annotations

import numpy as np

from gpt4video.shapes.language.describe import article, pick
from gpt4video.shapes.language.smalltalk import BACKGROUNDS_REPLY, COLORS_REPLY, MOTIONS_REPLY
from gpt4video.shapes.world import Part

Rng = np.random.Generator

CANNOT_DRAW = "I cannot draw that. I can draw circles, squares, triangles, stars, crosses and rings."
CANNOT_TALK = "I cannot help with that. I can talk about videos of moving shapes, and draw them."
CANNOT_SEE = "I cannot tell that. I only see shapes and how they move."
NO_VIDEO = "There is no video yet. Please post one, or ask me to draw one."
TOO_MANY = "I can draw at most three objects."
NO_TWINS = "Objects in one video need different colors. Please give each its own color."
NO_SOUND = "I cannot make sound, only short videos of moving shapes."
TOO_LONG = "My videos are about two seconds long. I cannot draw longer ones."


def held(rng: Rng, words: tuple[str, ...], part: Part) -> str:
    """One word that `part` may use; held-out ones come up in a third of their part's draws."""
    mine = words[{"training": 0, "validation": 8, "test": 9}[part] :: 10]
    if part != "training" and rng.random() < 1 / 3:
        return mine[int(rng.integers(len(mine)))]
    while True:
        index = int(rng.integers(len(words)))
        if index % 10 < 8:
            return words[index]


# fmt: off
NOUNS = (
    "cat", "dog", "horse", "bird", "fish", "lion", "tiger", "elephant",
    "mouse", "cow", "pig", "sheep", "chicken", "duck", "rabbit", "bear",
    "wolf", "fox", "monkey", "snake", "person", "man", "woman", "child",
    "baby", "girl", "boy", "face", "king", "queen", "doctor", "teacher",
    "dancer", "soldier", "clown", "robot", "dragon", "unicorn", "alien", "ghost",
    "car", "truck", "bus", "train", "plane", "boat", "bicycle", "rocket",
    "ship", "helicopter", "house", "castle", "tower", "bridge", "city", "street",
    "church", "school", "garden", "farm", "tree", "flower", "forest", "mountain",
    "river", "beach", "lake", "island", "desert", "volcano", "apple", "banana",
    "pizza", "cake", "sandwich", "burger", "cup", "bottle", "table", "chair",
    "phone", "computer", "guitar", "piano", "clock", "lamp", "door", "window",
    "book", "hat", "sun", "moon", "cloud", "planet", "galaxy", "rainbow",
    "storm", "fire", "waterfall", "snowman", "football", "spaceship", "dinosaur", "butterfly",
    "spider", "bee", "kitten", "puppy", "shark", "whale", "princess", "wizard",
    "pirate", "ninja", "superhero", "family", "friend", "crowd", "wedding", "party",
    "hexagon", "pentagon", "octagon", "diamond", "heart", "arrow", "spiral", "cube",
    "cylinder", "pyramid", "rectangle", "oval", "crescent", "sphere", "cone", "trapezoid",
    "line", "letter", "number", "word", "logo", "map", "chart", "flag",
    "portrait", "landscape", "cartoon", "movie", "game", "painting", "kitchen", "office",
    "airport", "market", "museum", "stadium", "zoo", "jungle", "village", "harbor",
)
# fmt: on
PLACES = (
    "in the rain",
    "at night",
    "in the snow",
    "on the beach",
    "in space",
    "in a forest",
    "under water",
    "in the city",
    "at sunset",
    "in the mountains",
    "running in a park",
    "dancing on a table",
    "playing football",
    "eating an apple",
    "singing a song",
    "driving a car",
    "on the moon",
    "walking down a street",
    "flying over a city",
    "sleeping in a bed",
)
DRAW_WHAT = (
    "Draw {n}.",
    "Draw {n}.",
    "Draw me {n}.",
    "Please draw {n}.",
    "Can you draw {n}?",
    "Could you draw {n} for me?",
    "Make a video of {n}.",
    "Make me a video of {n}.",
    "Generate a video of {n}.",
    "Can you generate {n}?",
    "Create a clip with {n}.",
    "I want to see {n}.",
    "I'd like a video of {n}.",
    "Show me {n}.",
    "Animate {n}.",
    "A video of {n}, please.",
    "{n}",
    "Give me {n}.",
    "Please animate {n}.",
    "Can you show me a video with {n}?",
    "Would you draw a video of {n}?",
    "I would like to see a clip of {n}.",
)
DRAW_MIXED = (
    "Draw {n} with a {c} {s}.",
    "Draw a {c} {n0} moving left.",
    "Draw a {c} {n0}.",
    "A {c} {n0} moving {m}",
    "Make a video of a {c} {n0} that moves {m}.",
    "Draw {n} next to a {s}.",
    "Show me a {c} {n0} and a {s}.",
    "Draw a {c} {s} on {n}.",
    "Please draw a small {n0} moving {m}.",
    "Draw a large {c} {n0} moving {m}, please.",
    "Show me a small {c} {n0} that moves {m}.",
)
EDIT_WHAT = (
    "Now make it {n}.",
    "The same, but with {n}.",
    "Add {n}.",
    "Replace it with {n}.",
    "Turn it into {n}.",
    "Put {n} in.",
    "Draw the same with {n}.",
    "Also draw {n}, please.",
    "Can you add {n} to the video?",
)
# fmt: off
TOPICS = (
    "poem", "story", "song", "letter", "joke",
    "recipe", "essay", "speech", "novel", "riddle",
    "list of countries", "summary of the news", "shopping list", "business plan", "love letter",
    "birthday card", "computer program", "python script", "film review", "travel plan",
)
# fmt: on
WRITE = (
    "Write {t}.",
    "Write me {t}.",
    "Please write {t}.",
    "Can you write {t}?",
    "Tell me {t}.",
    "I need {t}.",
    "Give me {t}.",
    "Could you write {t} for me?",
    "Write {t} about {n}.",
    "Can you tell me {t} about {n}?",
    "Please give me {t}.",
    "Could you please tell me {t}?",
)
FACTS = (
    "What is the capital of France?",
    "What is the capital of Japan?",
    "Who is the president?",
    "Who won the game?",
    "Who wrote Hamlet?",
    "What is the weather like?",
    "What is the weather today?",
    "What time is it?",
    "What day is it?",
    "What is two plus two?",
    "What is 12 times 7?",
    "Solve this equation: x + 3 = 7.",
    "How tall is the highest mountain?",
    "How far is the moon?",
    "How old is the earth?",
    "How do I cook rice?",
    "How do planes fly?",
    "Why is the sky blue?",
    "Why is grass green?",
    "What is the meaning of life?",
    "What is love?",
    "Who was Einstein?",
    "What is the news today?",
    "Translate this into French.",
    "Translate hello into Spanish.",
    "How do you say cat in German?",
    "Explain quantum physics.",
    "Explain how a car works.",
    "Sing a song.",
    "Sing for me.",
    "Play some music.",
    "Book a flight.",
    "Order a pizza.",
    "Send an email.",
    "Call my mother.",
    "Set a timer.",
    "Search the web.",
    "Open the browser.",
    "What is the price of gold?",
    "Buy me a ticket.",
    "Do my homework.",
    "Which phone should I buy?",
    "Who will win the election?",
    "What is your favorite food?",
    "Where do you live?",
    "How old are you?",
    "Do you like music?",
    "When is Christmas?",
    "Recommend a book.",
    "What is the fastest car?",
    "Correct my spelling.",
    "Fix my code.",
    "What does this word mean?",
    "How many people live in China?",
    "What is the largest city?",
    "Where is Africa?",
    "What is the capital of China?",
    "How do I cook a pizza?",
)
SEEN = (
    "Who is the person in the video?",
    "What is the person saying?",
    "What song is playing?",
    "Which music do you hear?",
    "What do you hear?",
    "Is there sound in the video?",
    "Who made this video?",
    "Where was the video filmed?",
    "When was this video made?",
    "What is the name of the actor?",
    "What is the man wearing?",
    "What does the text say?",
    "Which city is this?",
    "What is the weather in the video?",
    "What is the dog doing?",
    "How old is the woman?",
    "What brand is the car?",
    "How does the person feel?",
    "What language do they speak?",
    "What is the plot?",
    "Which camera was used?",
    "Is the man happy?",
    "Who is the woman in the video?",
    "What is the name of the song?",
)
MANY = (
    "Draw {k} {s}.",
    "Draw {k} {c} {s}.",
    "Make a video of {k} {s}.",
    "Show me {k} {s}.",
    "Can you draw {k} {s}?",
    "{k} {s}, please",
    "I want to see {k} {c} {s}.",
    "A video with {k} {s} moving {m}",
    "Please draw {k} objects.",
    "Can you show me {k} {c} {s}?",
    "I want a video of {k} {s}, please.",
)
ODD_COLORS = (
    "brown",
    "gold",
    "silver",
    "beige",
    "olive",
    "maroon",
    "golden",
    "striped",
    "rainbow",
    "transparent",
)
ODD_COLOR = (
    "Draw a {o} {s}.",
    "Draw a {o} {s} moving {m}.",
    "A {o} {s}, please",
    "Make a video of a {o} {s}.",
    "Show me a {o} {s}.",
    "Can you draw a {o} {s} that moves {m}?",
    "I want to see a {o} {s}.",
    "Please draw a small {o} {s}.",
    "Can you show me a video of a {o} {s}?",
    "I want a large {o} {s} moving {m}.",
)
ODD_MOTION = (
    "Draw a {c} {s} moving diagonally.",
    "A {c} {s} exploding",
    "Make the {c} {s} explode.",
    "Draw a {c} {s} that jumps over a fence.",
    "Draw a {s} moving in a zigzag.",
    "A {s} that blinks",
    "Make a video of a {c} {s} melting.",
    "Draw a {c} {s} that dances.",
    "Show me a {s} moving along a spiral.",
    "A {c} {s} walking",
    "Can you show me a {s} that dances?",
    "Show me a {c} {s} moving in a zigzag.",
)
TWINS = (
    "Draw two {c} {s}.",
    "Make a video of two {c} {s}.",
    "Two {c} {s}, please",
    "Show me three {c} {s}.",
    "I want to see two {c} {s} moving {m}.",
    "Can you draw two {c} {s}?",
    "Draw three {c} {s} moving {m}.",
    "Can you show me two {c} {s}?",
    "I want a video of three {c} {s}.",
)
LONG = (
    "Make a ten minute film.",
    "Make a 10 minute video of a {c} {s}.",
    "Draw a video of one hour.",
    "I want a long movie about a {c} {s}.",
    "Can you make a video of five minutes?",
    "Make it ten minutes long.",
    "Draw a {c} {s} for 30 seconds.",
    "Create a one hour film with a {s}.",
    "Can you draw a film of ten minutes?",
    "I want a {c} {s} for one hour.",
)
SOUND = (
    "Make a video with sound.",
    "Draw a {c} {s} with music.",
    "Add music to the video.",
    "Can you add sound?",
    "Make a {s} that sings.",
    "Let the {s} talk.",
    "Play a song with it.",
    "I want to hear the {s}.",
    "Can you make a {c} {s} with sound?",
    "Add a song to the video, please.",
)
ODD_BACKGROUND = (
    "Draw a {c} {s} in front of {n}.",
    "Draw a {c} {s} with {n} in the background.",
    "A {c} {s} on a {o} background",
    "Make the background {o}.",
    "Draw a {s} on a {c} background.",
    "Put {n} in the background.",
    "Show me a {c} {s} on a {o} background.",
    "Can you draw a {s} in front of {n}?",
)


def _fill(rng: Rng, part: Part, templates: tuple[str, ...]) -> str:
    """A template with words of the world and words from outside it."""
    noun = held(rng, NOUNS, part)
    plural = ("circles", "squares", "triangles", "stars", "crosses", "rings")
    singular = ("circle", "square", "triangle", "star", "cross", "ring")
    template = pick(rng, templates, part)
    numbers = ("four", "five", "six", "seven", "ten", "twenty", "a hundred", "many", "4", "5", "10")
    kinds = plural if "{k}" in template or template in TWINS else singular
    text = template.format(
        n=article(noun),
        n0=noun,
        t=article(held(rng, TOPICS, part)),
        k=numbers[int(rng.integers(len(numbers)))],
        s=kinds[int(rng.integers(6))],
        c=("red", "green", "blue", "yellow", "purple", "pink", "cyan")[int(rng.integers(7))],
        m=("left", "right", "up", "down")[int(rng.integers(4))],
        o=held(rng, ODD_COLORS, part),
    )
    return text[:1].upper() + text[1:]


def impossible(rng: Rng, part: Part) -> tuple[str, str]:
    """A wish outside the world, and what it can do instead."""
    toss = rng.random()
    if toss < 0.34:
        noun = article(held(rng, NOUNS, part))
        if rng.random() < 0.35:
            noun += " " + held(rng, PLACES, part)
        text = pick(rng, DRAW_WHAT, part).format(n=noun)
        return text[:1].upper() + text[1:], CANNOT_DRAW
    table: tuple[tuple[float, tuple[str, ...], str], ...] = (
        (0.46, DRAW_MIXED, CANNOT_DRAW),
        (0.60, WRITE, CANNOT_TALK),
        (0.76, FACTS, CANNOT_TALK),
        (0.80, MANY, TOO_MANY),
        (0.82, TWINS, NO_TWINS),
        (0.87, ODD_COLOR, COLORS_REPLY),
        (0.91, ODD_MOTION, MOTIONS_REPLY),
        (0.94, LONG, TOO_LONG),
        (0.97, SOUND, NO_SOUND),
        (1.01, ODD_BACKGROUND, BACKGROUNDS_REPLY),
    )
    _, templates, reply = next(row for row in table if toss < row[0])
    lead = {COLORS_REPLY: "I cannot draw that color. ", MOTIONS_REPLY: "I cannot draw that motion. "}
    lead[BACKGROUNDS_REPLY] = "I cannot draw that background. "
    return _fill(rng, part, templates), lead.get(reply, "") + reply


def impossible_edit(rng: Rng, part: Part) -> tuple[str, str]:
    """A change that leads outside the world."""
    return _fill(rng, part, EDIT_WHAT), CANNOT_DRAW


def unseen(rng: Rng, part: Part) -> tuple[str, str]:
    """A question about a posted video that shapes cannot answer."""
    return pick(rng, SEEN, part), CANNOT_SEE
