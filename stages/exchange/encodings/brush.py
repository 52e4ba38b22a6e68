"""Run lengths of Label Studio's brush: bits, the highest first.

32 bits   the number of values, four equal ones a pixel (red, green, blue, alpha), row by row
5 bits    the width of a value, less 1: 7
4x4 bits  four widths of lengths, less 1 each: 3, 4, 8 and 16 bits
then      1 bit: a run, or values one by one; 2 bits: which of the widths; the length, less 1; the value or values
the end   zero bits, one at least, to a whole byte
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_WIDTHS: Final = np.array([3, 4, 8, 16])
_VALUE_BITS: Final = 8
_LONGEST: Final = 1 << 16


def encode(mask: NDArray[np.bool_]) -> bytes:
    """A mask, (H, W) bool, as 0 and 255."""
    flat = mask.ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = 4 * np.diff(starts, append=flat.size)
    values = np.where(flat[starts], 255, 0)
    pieces = -(-lengths // _LONGEST)
    last = np.cumsum(pieces) - 1
    runs, values = np.full(pieces.sum(), _LONGEST), np.repeat(values, pieces)
    runs[last] = lengths - (pieces - 1) * _LONGEST
    which = np.searchsorted(1 << _WIDTHS, runs)
    widths = _WIDTHS[which]
    codes = ((((4 | which) << widths) | (runs - 1)) << _VALUE_BITS) | values
    head = [_bits(np.array([number]), np.array([width])) for number, width in _header(4 * flat.size)]
    end = np.zeros(1, np.uint8)
    return np.packbits(np.concatenate([*head, _bits(codes, 3 + widths + _VALUE_BITS), end])).tobytes()


def decode(content: bytes, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a picture whose alpha is above 127.

    Raises:
        ValueError: the bytes are none of run lengths, or of a picture of another size; says what was found.
    """
    width, height = size_wh
    count = 4 * width * height
    bits = _Bits(content)
    found = bits.number(32)
    if found != count:
        raise ValueError(f"found {found / 4:g} pixels, expected {width} x {height} = {count // 4}")
    if (value_bits := bits.number(5) + 1) != _VALUE_BITS:
        raise ValueError(f"found values of {value_bits} bits, expected {_VALUE_BITS}")
    widths = [bits.number(4) + 1 for _ in range(4)]
    lengths: list[int] = []
    values: list[int] = []
    total = 0
    while total < count:
        is_run = bits.number(1)
        length = bits.number(widths[bits.number(2)]) + 1
        total += length
        if is_run:
            lengths.append(length)
            values.append(bits.number(_VALUE_BITS))
        else:
            lengths += [1] * length
            values += bits.bytes(length)
    if total != count:
        raise ValueError(f"found {total / 4:g} pixels or more, expected {width} x {height} = {count // 4}")
    return np.repeat(np.array(values) > 127, lengths)[3::4].reshape(height, width)


def _header(count: int) -> list[tuple[int, int]]:
    return [(count, 32), (_VALUE_BITS - 1, 5), *((int(width) - 1, 4) for width in _WIDTHS)]


def _bits(numbers: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Numbers one behind the other, each in as many bits as its width says, at most 32."""
    aligned = (numbers << (32 - widths)).astype(">u4")
    bits = np.unpackbits(aligned.view(np.uint8).reshape(-1, 4), axis=1)
    return bits[np.arange(32) < widths[:, None]]


class _Bits:
    """Reads numbers from bytes, bit by bit."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def number(self, width: int) -> int:
        """The next so many bits."""
        first, end = self._at, self._at + width
        self._at = end
        if end > 8 * len(self._content):
            raise ValueError(f"found an end after {len(self._content)} bytes, expected more")
        around = int.from_bytes(self._content[first // 8 : -(-end // 8)])
        return (around >> (-end % 8)) & ((1 << width) - 1)

    def bytes(self, count: int) -> bytes:
        """The next so many values of eight bits."""
        return self.number(8 * count).to_bytes(count)
