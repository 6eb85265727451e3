"""What applications tell an assistant before people speak. It changes nothing here and is to be read past."""

from __future__ import annotations

import numpy as np

from gpt4video.shapes.language.describe import pick
from gpt4video.shapes.world import Part

SHARE = 0.12
"""Share of conversations that begin so."""
SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "You are a video assistant.",
    "You are a helpful video assistant. You answer questions about videos and draw new ones.",
    "You are gpt4video.",
    "You are an AI assistant that watches and draws videos.",
    "You are a friendly and helpful chatbot.",
    "Answer briefly.",
    "Answer briefly and to the point.",
    "Be concise.",
    "Be polite and helpful.",
    "Be helpful, honest and harmless.",
    "Answer the user's questions.",
    "Answer in English.",
    "Please answer in one short sentence.",
    "Respond in plain text without Markdown.",
    "Help the user with their videos.",
    "The user will post videos and ask about them.",
    "Today is Monday. You are talking to a user of our app.",
    "Follow the instructions of the user carefully.",
    "Do not make things up. If you do not know, say so.",
    "You are Max, an assistant. Keep your answers short.",
    "You are a kind assistant who keeps answers short.",
    "Reply to the user as well as you can.",
)


def system(rng: np.random.Generator, part: Part) -> str | None:
    """What is said first, if anything is."""
    return pick(rng, SYSTEMS, part) if rng.random() < SHARE else None
