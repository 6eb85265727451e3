"""Files made to hurt: playlists that point elsewhere, frames that do not fit in memory, files that never end.

corpus(folder)                                  a few small whole files, one of each kind, to be damaged
playlists("http://127.0.0.1:9/x.ts", canary)    what would have a player open other things
bombs(folder)                                   what is small on the wire and huge when opened
"""

import io
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path

import av
import files
import numpy as np
from PIL import Image

FTYP = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41"
"""The box that an mp4 begins with."""


def picture(kind: str, size: tuple[int, int] = (48, 32)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (200, 40, 40)).save(file, kind)
    return file.getvalue()


def moving(kind: str, frames: np.ndarray, milliseconds: int = 125) -> bytes:
    """A PNG or WebP that moves, without loss."""
    file = io.BytesIO()
    first, *rest = (Image.fromarray(frame) for frame in frames)
    first.save(file, kind, save_all=True, append_images=rest, duration=milliseconds, lossless=True)
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("video.mp4", b"0" * 100)
    return file.getvalue()


def corpus(folder: Path) -> dict[str, bytes]:
    """Small whole files, by what they are."""
    frames = files.counting(6, 32, 32)
    made = {"png": picture("PNG"), "jpeg": picture("JPEG"), "webp": picture("WEBP")}
    made |= {"moving png": moving("PNG", frames), "moving webp": moving("WEBP", frames)}
    for suffix, codec, pix_fmt in (
        ("mp4", "libx264", "yuv420p"),
        ("mov", "mpeg4", "yuv420p"),
        ("mkv", "libx264", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("gif", "gif", "rgb8"),
        ("ts", "libx264", "yuv420p"),
        ("mpg", "mpeg2video", "yuv420p"),
        ("flv", "flv1", "yuv420p"),
    ):
        rate = Fraction(1, 25)
        path = folder / f"whole.{suffix}"
        made[suffix] = files.write(path, frames, codec=codec, pix_fmt=pix_fmt, tick=rate).read_bytes()
    return made


def playlists(address: str, canary: Path) -> dict[str, bytes]:
    """Files that name other files and addresses; each bare, and behind the first box of an mp4."""
    bare = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXTINF:1,\nfile://{canary}\n"
        "#EXT-X-ENDLIST\n",
        "dash": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static' "
        "mediaPresentationDuration='PT1S'><Period><AdaptationSet mimeType='video/mp4'><Representation id='1' "
        f"bandwidth='1'><BaseURL>{address}</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "concat": f"ffconcat version 1.0\nfile '{address}'\nfile '{canary}'\n",
        "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
        "svg": f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{address}'/></svg>",
        "asx": f"<asx version='3.0'><entry><ref href='{address}'/></entry></asx>",
        "sequence": f"file:{canary.parent}/%d.png",
    }
    found = {name: text.encode() for name, text in bare.items()}
    fronted = {f"{name} behind an mp4's first box": FTYP + data for name, data in found.items()}
    return found | fronted | {"hls behind a gif's": b"GIF89a\n" + found["hls"]}


def bombs(folder: Path) -> dict[str, tuple[bytes, str]]:
    """Small files that open into huge ones, and the code that each is turned away with."""
    gif = bytearray(picture("GIF"))
    gif[6:10] = (16384).to_bytes(2, "little") * 2
    png = bytearray(moving("PNG", files.counting(2)))
    png[16:24] = (16384).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    return {
        "a moving picture of 16384x16384 in a png": (bytes(png), "video_too_large"),
        # Here FFmpeg gives up before it says what was too large.
        "a frame of 16384x16384 in an avi": (vast(folder, 16384), "invalid_video"),
        "a canvas of 16384x16384 in a gif": (bytes(gif), "invalid_video"),
        "a key frame of 16383x16383 in a webm": (vp8_of(folder, 16383), "invalid_video"),
        "frames that grow on the way": (growing(folder, 4096), "video_too_large"),
        "ten hours at one frame a second": (lasting(folder, 36_000), "video_too_long"),
        "forty thousand frames in a minute": (lasting(folder, 40_000, Fraction(1, 700)), "video_too_long"),
        "a hundred streams": (streams(folder, 100), "video_too_large"),
        "a zip": (archive(), "unsupported_video_format"),
        "nothing": (b"\0" * 4096, "unsupported_video_format"),
    }


def vast(folder: Path, side: int) -> bytes:
    """An AVI of one JPEG that is `side` each way, by what its headers say. FFmpeg cannot even write such."""
    path = files.write(folder / "vast.avi", files.counting(1), codec="mjpeg", pix_fmt="yuvj420p")
    data, big = bytearray(path.read_bytes()), side.to_bytes(4, "little")
    at = data.index(b"strf") + 12
    data[at : at + 8] = big * 2
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = side.to_bytes(2, "big") * 2
    return bytes(data)


def vp8_of(folder: Path, side: int) -> bytes:
    """A WebM whose header says 64x48 and whose key frame says `side` each way."""
    path = files.write(folder / "vp8.webm", files.counting(2), codec="libvpx", pix_fmt="yuv420p")
    data = bytearray(path.read_bytes())
    at = data.index(b"\x9d\x01\x2a") + 3
    data[at : at + 4] = side.to_bytes(2, "little") * 2
    return bytes(data)


def growing(folder: Path, side: int) -> bytes:
    """An MPEG-TS of 64x48 that goes on as `side` each way."""
    stream = b""
    for number, (width, height) in enumerate(((64, 48), (side, side))):
        frames = np.full((2, height, width, 3), 120, np.uint8)
        stream += files.write(
            folder / f"{number}.h264", frames, pix_fmt="yuv420p", format="h264"
        ).read_bytes()
    with av.open(io.BytesIO(stream), format="h264") as source:
        return remuxed(folder / "growing.ts", source, source.demux(video=0), Fraction(1, 25))


def lasting(folder: Path, count: int, tick: Fraction = Fraction(1)) -> bytes:
    """An mp4 of so many frames, all the same one."""
    path = files.write(folder / "one.mp4", files.counting(1, 16, 16), codec="mpeg4", pix_fmt="yuv420p")
    with av.open(str(path)) as source:
        packet = next(packet for packet in source.demux(video=0) if packet.size)
        copies = (av.Packet(bytes(packet)) for _ in range(count))
        return remuxed(folder / "lasting.mp4", source, copies, tick, key=True)


def remuxed(path: Path, source, packets, tick: Fraction, *, key: bool = False) -> bytes:
    """Packets of a stream as they are, each shown a tick after the other."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.time_base = tick
        for number, packet in enumerate(packet for packet in packets if packet.size):
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = tick, stream
            packet.is_keyframe = key or packet.is_keyframe
            target.mux(packet)
    return path.read_bytes()


def streams(folder: Path, count: int) -> bytes:
    """An mkv of so many streams."""
    path = folder / "streams.mkv"
    with av.open(str(path), "w") as target:
        every = [target.add_stream("mpeg4", rate=8) for _ in range(count)]
        for stream in every:
            stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for stream in every:
            target.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
            target.mux(stream.encode(None))
    return path.read_bytes()
