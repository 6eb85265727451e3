"""gpt4video: one conversation in which people post videos, ask about them, and ask for new ones.

`import gpt4video` is light; the heavy parts arrive with `gpt4video.load()`.
"""

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> object:
    """Bring in `load` (and with it torch) the first time it is asked for."""
    if name == "load":
        from gpt4video.loading import load

        return load
    raise AttributeError(f"module 'gpt4video' has no attribute {name!r}")
