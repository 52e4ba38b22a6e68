"""3x3 convolutions with a quarter of the multiplications, for wide networks on a CPU.

Winograd's minimal filtering F(4x4, 3x3): A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR
2016, section 4. A tile of 4x4 results needs 6x6 inputs. Both the tile and the kernel are taken to 36 numbers, in which
convolving is multiplying: 36 products for 16 results instead of 144. For all tiles and channels that is 36 products of
matrices. PyTorch does not do this on a CPU.

    tiles (36, T, C) ─ B ⊗ B ─┐
                              ├─ 36 products ─ (36, T, O) ─ A ⊗ A ─ results (16, T, O)
    kernels (36, C, O) ───────┘

A convolution of dilation d is one of dilation 1 on each of the d x d grids that its points stay on.
"""

from functools import cache

import torch
from torch import Tensor, nn

_RESULTS, _INPUTS = 4, 6
"""Along a side of a tile."""
_FEWEST_CHANNELS = 128
"""With fewer, rearranging costs more than multiplying."""
_LARGEST_DILATION = 4
_MOST_PADDING = 1.6
"""Results that are computed, in whole tiles on all grids, for each that is asked for."""
_STRIP_BYTES = 1 << 26
"""Of tiles at a time: so many that fetching the kernels again for every strip costs little."""

# Interpolation at 0, 1, -1, 2, -2 and infinity (Lavin and Gray, section 4.3).
_INPUT = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
          (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1))  # fmt: skip
_KERNEL = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
           (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip
_RESULT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def use_winograd(network: nn.Module) -> None:
    """Replace every convolution of a finished network on a CPU, in place, that can be done faster this way.

    Their weights must not change any more.
    """
    for parent in list(network.modules()):
        if not isinstance(parent, WinogradConvolution):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Conv2d and suits(child):
                    setattr(parent, name, WinogradConvolution(child))


def suits(convolution: nn.Conv2d) -> bool:
    """Whether it can be done faster this way."""
    return (
        convolution.kernel_size == (3, 3)
        and convolution.stride == (1, 1)
        and convolution.padding == convolution.dilation == convolution.dilation[:1] * 2
        and convolution.dilation[0] <= _LARGEST_DILATION
        and convolution.padding_mode == "zeros"
        and convolution.groups == 1
        and min(convolution.in_channels, convolution.out_channels) >= _FEWEST_CHANNELS
        and convolution.weight.is_cpu
        and convolution.weight.dtype == torch.float32
    )


class WinogradConvolution(nn.Module):
    """A 3x3 convolution that keeps the size; the results differ from the plain one's by rounding, 1e-5 of the largest.

    Where a gradient is asked for, and for pictures that would be padded too much, the plain one works.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        """`convolution` is float32, with stride 1, as much padding as dilation, and no groups; it must not change."""
        super().__init__()
        self.convolution = convolution
        weight = convolution.weight.detach()
        kernels = _for_both_sides(_KERNEL, torch.float64) @ weight.double().permute(2, 3, 1, 0).reshape(9, -1)
        self._kernels = kernels.float().view(_INPUTS**2, convolution.in_channels, convolution.out_channels)
        bias = convolution.bias
        self._bias = weight.new_zeros(convolution.out_channels) if bias is None else bias.detach()

    def pays(self, x: Tensor) -> bool:
        """Whether an input (N, C, H, W) is one for this method."""
        height, width = x.shape[-2:]
        rows, columns = self._tiles(x)
        computed = rows * columns * (_RESULTS * self.convolution.dilation[0]) ** 2
        is_plain = x.is_cpu and x.dtype == torch.float32 and not x.requires_grad
        return is_plain and 0 < computed <= _MOST_PADDING * height * width and len(x) > 0

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W)."""
        if not self.pays(x):
            plain: Tensor = self.convolution(x)
            return plain
        height, width = x.shape[-2:]
        dilation = self.convolution.dilation[0]
        rows, columns = self._tiles(x)
        bottom, right = (_RESULTS * dilation * tiles - side for tiles, side in ((rows, height), (columns, width)))
        y = self._convolve(_framed(x.permute(0, 2, 3, 1), dilation, bottom, right), rows, columns)
        return y[:, :height, :width].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def _tiles(self, x: Tensor) -> tuple[int, int]:
        """Rows and columns of them, on each grid."""
        side = _RESULTS * self.convolution.dilation[0]
        height, width = x.shape[-2:]
        return -(-height // side), -(-width // side)

    def _convolve(self, padded: Tensor, rows: int, columns: int) -> Tensor:
        """Convolve a picture with `rows` x `columns` tiles on each grid: h = 4 d rows, w = 4 d columns.

        (N, h + 2 d, w + 2 d, C) -> (N, h, w, O).
        """
        count, *_, channels = padded.shape
        dilation, outputs = self.convolution.dilation[0], self.convolution.out_channels
        to_picture, to_row, to_column, to_channel = padded.stride()
        strides = (
            *(dilation * to_row, dilation * to_column),  # within a tile
            to_picture,
            *(to_row, to_column),  # from grid to grid
            *(_RESULTS * dilation * to_row, _RESULTS * dilation * to_column),  # from tile to tile
            to_channel,
        )
        y = padded.new_empty(count, rows, _RESULTS, dilation, columns, _RESULTS, dilation, outputs)
        bytes_a_row = 4 * _INPUTS**2 * count * dilation**2 * columns * channels
        strip = max(1, _STRIP_BYTES // bytes_a_row)
        for top in range(0, rows, strip):
            height = min(strip, rows - top)
            shape = (_INPUTS, _INPUTS, count, dilation, dilation, height, columns)
            tiles = padded.as_strided((*shape, channels), strides, top * _RESULTS * dilation * to_row)
            products = _for_both_sides(_INPUT) @ tiles.reshape(_INPUTS**2, -1)
            products = torch.bmm(products.view(_INPUTS**2, -1, channels), self._kernels)
            results = _for_both_sides(_RESULT) @ products.view(_INPUTS**2, -1)
            results = results.view(_RESULTS, _RESULTS, *shape[2:], outputs)
            torch.add(results.permute(2, 5, 0, 3, 6, 1, 4, 7), self._bias, out=y[:, top : top + height])
        return y.view(count, rows * _RESULTS * dilation, columns * _RESULTS * dilation, outputs)


def _framed(x: Tensor, border: int, bottom: int, right: int) -> Tensor:
    """Zeros around pictures (N, H, W, C), more of them below and to the right.

    `functional.pad` writes zeros everywhere first.
    """
    count, height, width, channels = x.shape
    framed = x.new_empty(count, height + 2 * border + bottom, width + 2 * border + right, channels)
    rows, columns = slice(border, border + height), slice(border, border + width)
    framed[:, rows, columns] = x
    framed[:, : rows.start] = framed[:, rows.stop :] = 0
    framed[:, rows, : columns.start] = framed[:, rows, columns.stop :] = 0
    return framed


@cache
def _for_both_sides(matrix: tuple[tuple[float, ...], ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """What a transform of one side is for a tile that is written row by row."""
    once = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(once, once).to(dtype)
