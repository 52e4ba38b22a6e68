"""Whether a video file was cut: what its outermost structure says of its length, without decoding anything."""

import os
import struct
from pathlib import Path
from typing import IO, Final

_RIFF_PARTS: Final = (b"RIFF", b"RIFX")
_EBML: Final = b"\x1a\x45\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"
_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")
"""What an ISO file (mp4, mov, 3gp) begins with."""
_LATER_BOXES: Final = (
    *_BOXES,
    b"moof",
    b"mfra",
    b"sidx",
    b"ssix",
    b"prft",
    b"emsg",
    b"meta",
    b"udta",
    b"uuid",
    b"pdin",
)
"""What else may stand at the top of it."""
_ASF_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_FLV_HEAD_BYTES: Final = 11
"""Of a tag: kind, length of what it holds, time, and three bytes that are zero; its own length stands behind it."""
_FLV_TAGS: Final = (8, 9, 18)
"""Sound, video, data of a script. The first is such data, in which writers other than live ones tell the length."""
_FLV_LENGTH: Final = b"filesize\0"
_TS_PACKET_BYTES: Final = {188: 0, 192: 4, 204: 0}
"""Lengths of a transport stream's packets (plain, of cameras, with error correction), and where 0x47 stands in them."""


def missing_bytes(path: Path) -> int:
    """How many bytes a file lacks at its end, as far as its container tells; 0 where it is whole or does not tell.

    Known are RIFF (avi), Matroska (mkv, webm), ISO (mp4, mov, 3gp), ASF (wmv), FLV and transport streams (ts, m2ts).

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(4096)
        if start[:4] in _RIFF_PARTS:
            end = _riff_end(file, size)
        elif start[:4] == _EBML:
            end = _matroska_end(start)
        elif start[4:8] in _BOXES:
            end = _iso_end(file, size)
        elif _ASF_PROPERTIES in start:
            at = start.index(_ASF_PROPERTIES) + 40
            end = int.from_bytes(start[at : at + 8], "little")
        elif start[:3] == b"FLV":
            end = _flv_end(file, size)
        else:
            end = size + _lack_of_last_packet(start, size)
    return max(0, end - size)


def _riff_end(file: IO[bytes], size: int) -> int:
    """The end of the last part; large files have several. A recorder that was stopped leaves the length 0."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] not in _RIFF_PARTS or not 0 < length < 0xFFFFFFF0:
            break
        end += 8 + length + length % 2
    return end - 1 if end == size + 1 else end  # some writers leave out the last byte of padding


def _matroska_end(start: bytes) -> int:
    """The end of the segment that holds everything; live recordings do not know it."""
    header_bytes, at = _vint(start, 4)
    at += header_bytes or 0
    if start[at : at + 4] != _SEGMENT:
        return 0
    length, at = _vint(start, at + 4)
    return 0 if length is None else at + length


def _vint(data: bytes, at: int) -> tuple[int | None, int]:
    """A number of variable length, None if it says "unknown", and where it ends."""
    if at >= len(data) or data[at] == 0:
        return None, at
    length = 9 - data[at].bit_length()
    bits = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return None if bits == (1 << 7 * length) - 1 else bits, at + length


def _iso_end(file: IO[bytes], size: int) -> int:
    """The end of the last box at the top."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8 or head[4:8] not in _LATER_BOXES:
            break  # to the end of the file, or what somebody appended
        end += length
    return end


def _flv_end(file: IO[bytes], size: int) -> int:
    """The length that the first tag tells, or the end of the last tag."""
    file.seek(5)
    first = at = int.from_bytes(file.read(4), "big") + 4
    end = told = 0
    while at < size:
        file.seek(at)
        head = file.read(_FLV_HEAD_BYTES)
        if head[0] not in _FLV_TAGS or any(head[8:]):
            break  # what somebody appended
        end = at + _FLV_HEAD_BYTES + int.from_bytes(head[1:4], "big")
        if at == first:
            told = _told_by_script(file.read(end - at))
        at = end + 4
    return max(end, told)


def _told_by_script(data: bytes) -> int:
    """The file's length in the data of a script, in which numbers are doubles; 0 if it tells none."""
    at = data.lower().find(_FLV_LENGTH) + len(_FLV_LENGTH)
    if at < len(_FLV_LENGTH) or at + 8 > len(data):
        return 0
    (length,) = struct.unpack_from(">d", data, at)
    return int(length) if 0 < length < 1 << 62 else 0


def _lack_of_last_packet(start: bytes, size: int) -> int:
    for length, at in _TS_PACKET_BYTES.items():
        sync = start[at::length][:4]
        if sync and sync == b"\x47" * len(sync) and len(sync) > 1:
            return -size % length
    return 0
