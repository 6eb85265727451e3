"""Bytes to frames and back: `Clip`, how its frames are chosen, and an H.264 writer for browsers.

a file or bytes -> container.py   what is it? an allow-list on the first bytes
                -> whole.py       is all of it there?
                -> pyav.py        its timeline: every frame's time, read without decoding
                -> timeline.py    which frames `Sampling` wants
                -> pyav.py        those frames, and no more than they need, decoded
                   decord.py
                -> Clip -> encode.py -> mp4, jpeg
"""

from gpt4video.video.clip import Clip, Sampling
from gpt4video.video.decode import DECODERS, DecoderName, open_video, probe
from gpt4video.video.encode import encode_jpeg, encode_mp4
from gpt4video.video.reader import Left, Limits, VideoInfo

__all__ = [
    "DECODERS",
    "Clip",
    "DecoderName",
    "Left",
    "Limits",
    "Sampling",
    "VideoInfo",
    "encode_jpeg",
    "encode_mp4",
    "open_video",
    "probe",
]
