"""The file of a recording as a row of frames, whatever is in them.

Rule 1.  The first line names the format and the version of Conveyor that wrote the file, `cvd2
         conveyor 0.1.0`, so that any version can say what it was given.
Rule 2.  Behind it are frames: a letter, the length and the checksum of the payload, and the
         payload.  Frames are only ever added, so a file that was cut off holds up to its last whole
         frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final
from zlib import crc32

from conveyor.errors import ScheduleMismatch

__all__ = ["FRAME", "first_line", "frame", "frames_in", "numbers_in", "varint"]

VERSION: Final = "0.1.0"  # of this library, as in pyproject.toml
FORMAT: Final = "cvd2"
FRAME: Final = Struct("<cII")
LONGEST_LINE: Final = 80


def first_line() -> bytes:
    """Gives the line with which a file begins."""
    return f"{FORMAT} conveyor {VERSION}\n".encode()


def frame(kind: bytes, payload: bytes) -> bytes:
    """Gives a frame as it stands in the file; `kind` is one letter."""
    return FRAME.pack(kind, len(payload), crc32(payload, crc32(kind))) + payload


def frames_in(data: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Gives the letter and the payload of each frame, up to one that was cut off.

    Raises `ScheduleMismatch` if the file, which is called `name`, is no recording, is in another
    format, or is damaged: a program that dies leaves a part of its last frame, never a whole one
    with other bytes.
    """
    line, _, frames = data.partition(b"\n")
    check_first_line(line[:LONGEST_LINE].decode(errors="replace"), data[:8], name)
    at = 0
    while at + FRAME.size <= len(frames):
        kind, length, checksum = FRAME.unpack_from(frames, at)
        payload = frames[at + FRAME.size : at + FRAME.size + length]
        if len(payload) < length:
            return
        if crc32(payload, crc32(kind)) != checksum:
            raise ScheduleMismatch(
                f"{name} is damaged: its frame {kind!r} at byte {len(line) + 1 + at} has another "
                "checksum than when it was written"
            )
        yield kind, payload
        at += FRAME.size + length


def check_first_line(line: str, begins_with: bytes, name: str) -> None:
    format_of_file, _, writer = line.partition(" ")
    if format_of_file == FORMAT:
        return
    if not format_of_file.startswith("cvd"):
        raise ScheduleMismatch(
            f"{name} is no recording: it must begin with {FORMAT!r}, "
            f"and begins with {begins_with!r}"
        )
    by = f"Conveyor {writer.removeprefix('conveyor ')}" if writer else "a Conveyor before 0.1.0"
    raise ScheduleMismatch(
        f"{name} is of another version: {by} recorded it in the format {format_of_file}, and "
        f"this Conveyor, {VERSION}, reads {FORMAT} only. Record the run again, or replay the file "
        "with the version that wrote it"
    )


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the last byte is below 128."""
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def numbers_in(payload: bytes) -> Iterator[int]:
    """Gives the numbers that `varint` wrote, one behind the other.

    >>> [*numbers_in(varint(5) + varint(300))]
    [5, 300]
    """
    value = shift = 0
    for byte in payload:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0
