"""Everything a caller can run into, as one tree.

    Gpt4VideoError
    ├── InputError            the caller's input does not fit (HTTP 400, exit status 2)
    │   ├── ConfigError       a config or checkpoint directory does not fit
    │   ├── VideoError        a posted file is not a video that can be read
    │   └── ContextTooLong    the conversation is longer than the model can read
    ├── Refused               safety said no (exit status 3)
    ├── Busy                  no room now, try later (HTTP 429 or 503)
    └── GenerationFailed      drawing broke (HTTP 500, exit status 1)

`code` is the slug that the HTTP API shows in `error.code`; `param` names the field at fault.
Messages say what came, what fits and what to do; people's prompts stay out of them.
"""

from __future__ import annotations


class Gpt4VideoError(Exception):
    """The root: `message`, an API `code`, and the `param` at fault where there is one."""

    code = "internal_error"
    param: str | None = None

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.param = param or type(self).param


class InputError(Gpt4VideoError):
    """What the caller gave does not fit."""

    code = "invalid_value"


class ConfigError(InputError):
    """A config file or a checkpoint directory does not fit."""

    code = "invalid_config"


class VideoError(InputError):
    """A posted file is not a video that can be read."""

    code = "invalid_video"


class ContextTooLong(InputError):
    """The conversation needs more tokens than the model can read."""

    code = "context_length_exceeded"
    param = "messages"


class Refused(Gpt4VideoError):
    """Safety said no at one of the four doors."""

    code = "content_policy_violation"


class Busy(Gpt4VideoError):
    """There is no room at the moment; `retry_after` says in how many seconds to try again."""

    code = "queue_full"

    def __init__(self, message: str, *, retry_after: float = 1.0, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class GenerationFailed(Gpt4VideoError):
    """Drawing broke through no fault of the request."""

    code = "generation_failed"


class DrawerHangs(GenerationFailed):
    """Nothing can be drawn, for an earlier drawing never ends."""

    code = "drawer_unavailable"
