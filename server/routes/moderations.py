"""`POST /v1/moderations`: what the safety filter says of words, in OpenAI's categories."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from fastapi import APIRouter, Request

from gpt4video.interfaces import Verdict
from server.errors import bad_request
from server.schemas import ModerationRequest
from server.service import service_of

router = APIRouter()

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""The SDK's types ask for every one of them in every answer."""


@router.post("/v1/moderations")
async def create(request: Request, body: ModerationRequest) -> dict[str, Any]:
    """One result for each text; the filter's own categories stand beside OpenAI's."""
    safety = service_of(request).assistant.safety
    texts = [body.input] if isinstance(body.input, str) else [_words(item) for item in body.input]
    verdicts = [await asyncio.to_thread(safety.text, text, "question") for text in texts]
    return {
        "id": f"modr-{secrets.token_hex(12)}",
        "model": service_of(request).settings.model_id,
        "results": [_result(verdict) for verdict in verdicts],
    }


def _words(item: str | dict[str, Any]) -> str:
    if isinstance(item, str):
        return item
    if item.get("type") == "text" and isinstance(text := item.get("text"), str):
        return text
    raise bad_request("input: only words are judged here: strings, or parts of type 'text'.", param="input")


def _result(verdict: Verdict) -> dict[str, Any]:
    scores = {**dict.fromkeys(CATEGORIES, 0.0), **dict(verdict.scores)}
    for category in verdict.categories:
        scores[category] = scores.get(category) or 1.0
    return {
        "flagged": not verdict.allowed,
        "categories": {name: name in verdict.categories for name in scores},
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in scores},
    }
