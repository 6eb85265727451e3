"""One body that fits and one answer as it comes, by the name of their schema: for `/openapi.json`.

Tests hold every one against its schema, and every answer's fields against what the server really says.
"""

from __future__ import annotations

from typing import Any

from server.moderation import CATEGORIES

PROMPT = "a red circle moving to the left"
VIDEO: dict[str, Any] = {
    "id": "video_1f0e3dad99908345f7439f8f",
    "object": "video",
    "model": "gpt4video",
    "status": "completed",
    "progress": 100,
    "created_at": 1767225600,
    "started_at": 1767225601,
    "completed_at": 1767225604,
    "expires_at": None,
    "prompt": PROMPT,
    "seconds": "2",
    "size": "128x128",
    "fps": 8.0,
    "seed": 1,
    "num_inference_steps": 20,
    "guidance_scale": None,
    "remixed_from_video_id": None,
    "error": None,
    "queue_position": None,
    "eta_seconds": None,
    "inference_time_s": 3.1,
    "preview_url": None,
    "url": "/v1/videos/video_1f0e3dad99908345f7439f8f/content",
}
FILE: dict[str, Any] = {
    "id": "file-8f14e45fceea167a5a36dedd",
    "object": "file",
    "bytes": 48213,
    "created_at": 1767225600,
    "expires_at": None,
    "filename": "circle.mp4",
    "purpose": "user_data",
    "status": "processed",
    "status_details": None,
    "video": {
        "duration": 2.0,
        "width": 128,
        "height": 128,
        "fps": 8.0,
        "codec": "h264",
        "container": "mp4",
        "num_frames": 16,
    },
}
MODEL: dict[str, Any] = {
    "id": "gpt4video",
    "object": "model",
    "created": 1767225600,
    "owned_by": "gpt4video",
    "root": "gpt4video",
    "max_model_len": 1024,
    "capabilities": {"input": ["text", "image", "video"], "output": ["text", "video"]},
    "video": {"sizes": ["128x128"], "seconds": ["2"], "fps": 8.0, "steps": 20, "max_steps": 50},
    "limits": {"max_messages": 2000, "max_videos": 32, "max_body_bytes": 134217728, "frames": 8},
}
USAGE: dict[str, Any] = {
    "prompt_tokens": 141,
    "completion_tokens": 12,
    "total_tokens": 153,
    "prompt_tokens_details": {"cached_tokens": 0, "video_tokens": 129, "text_tokens": 12},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
INPUT: dict[str, Any] = {
    "frames": 4,
    "fps": 1.6,
    "timestamps": [0.0, 0.625, 1.25, 1.875],
    "duration": 2.0,
    "cached": False,
}
SAID = "It is a red circle that moves to the left."


def _page(thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [thing],
        "first_id": thing["id"],
        "last_id": thing["id"],
        "has_more": False,
    }


BODIES: dict[str, dict[str, Any]] = {
    "ChatRequest": {
        "model": "gpt4video",
        "messages": [{"role": "user", "content": "Draw a red circle moving to the left."}],
        "temperature": 0.0,
        "max_tokens": 64,
        "video": {"seed": 1},
    },
    "VideoCreate": {"prompt": PROMPT, "seed": 1},
    "VideoRemix": {"prompt": "a blue circle moving to the left"},
    "ModerationRequest": {"input": "a red circle"},
    "FileCreate": {"purpose": "user_data"},
    "AskRequest": {"question": "What color is the circle?"},
}
"""Forms that hold a file have one beside this: `UPLOAD`."""
UPLOAD = "(the bytes of circle.mp4)"

ANSWERS: dict[str, dict[str, Any]] = {
    "ChatCompletion": {
        "id": "chatcmpl-c4ca4238a0b923820dcc509a",
        "object": "chat.completion",
        "created": 1767225600,
        "model": "gpt4video",
        "system_fingerprint": "fp_c81e728d9d",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": SAID, "refusal": None, "videos": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
        "video_inputs": [INPUT],
    },
    "AskAnswer": {"answer": SAID, "videos": [], "usage": USAGE, "finish_reason": "stop"},
    "VideoObject": VIDEO,
    "VideoList": _page(VIDEO),
    "FileObject": FILE,
    "FileList": _page(FILE),
    "Deleted": {"id": VIDEO["id"], "object": "video.deleted", "deleted": True},
    "ModelObject": MODEL,
    "ModelList": {"object": "list", "data": [MODEL]},
    "ModerationObject": {
        "id": "modr-eccbc87e4b5ce2fe28308fd9",
        "model": "gpt4video",
        "results": [
            {
                "flagged": False,
                "categories": dict.fromkeys(CATEGORIES, False),
                "category_scores": dict.fromkeys(CATEGORIES, 0.0),
                "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
            }
        ],
    },
    "Health": {"status": "ok"},
    "Ready": {"status": "ready", "model": "gpt4video"},
    "Version": {"version": "0.1.0", "model": "gpt4video"},
}
