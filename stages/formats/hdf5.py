"""HDF5 files: put together in memory and written at once; read only if they are what we write.

A disk that fills up raises an ordinary OSError, where the HDF5 library would leave a damaged file open (and may crash
on the next one). What is read may come from anywhere: links to other files, parts that lie in other files, filters
that nobody knows, and shapes that no file of this size can hold are refused before anything is loaded.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import h5py
import numpy as np

from stages.core.errors import StageError
from stages.core.palette import MAX_OBJECT_ID
from stages.formats import files
from stages.formats.pictures import MOST_PIXELS

_MOST_BYTES: Final = 4 << 30
"""Of one dataset, unpacked."""
_MOST_CHUNK_BYTES: Final = 256 << 20
_MOST_OBJECTS: Final = 100_000
_DEEPEST: Final = 4
_MOST_PACKED: Final = 1100
"""How many times longer what gzip packed can be than its file: deflate reaches 1032."""
_DAMAGES: Final = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError, OverflowError)
"""What the library raises on files that rotted."""


@contextmanager
def write_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to fill; it is written when the block ends well."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        yield file
    files.write(path, buffer.getbuffer())


@contextmanager
def read_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to read from; the block may not do anything else that can fail.

    Raises:
        StageError: it is missing or damaged, or holds what LIS never writes.
    """
    try:
        with h5py.File(path, "r") as file:
            _check_group(file, path.stat().st_size, 0, [0])
            yield file
    except _DAMAGES as error:
        raise StageError(
            f"{path}: found no file as LIS writes it ({' '.join(str(error).split())[:200]}); `lis verify --repair` "
            "removes what is damaged, and the next run makes it again"
        ) from None


def read_object_ids(file: h5py.File) -> tuple[int, ...]:
    """The objects that a file tells of, ascending as it has them.

    Raises:
        ValueError: those are none.
    """
    data = file["object_ids"]
    if data.ndim != 1 or data.dtype.kind not in "iu" or len(data) > MAX_OBJECT_ID:
        raise ValueError(f"object ids as {data.dtype} of shape {data.shape}")
    ids = tuple(int(value) for value in data)
    if len({*ids}) != len(ids) or not all(1 <= each <= MAX_OBJECT_ID for each in ids):
        raise ValueError(f"the object ids {ids}")
    return ids


def read_size(file: h5py.File) -> tuple[int, int]:
    """Width and height of the pictures that a file tells of.

    Raises:
        ValueError: no picture is as large.
    """
    width, height = (int(value) for value in file.attrs["size_wh"])
    if width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise ValueError(f"pictures of {width}x{height}")
    return width, height


def _check_group(group: h5py.Group, file_bytes: int, depth: int, seen: list[int]) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"groups inside one another, more than {_DEEPEST} deep")
    for name in group:
        seen[0] += 1
        if seen[0] > _MOST_OBJECTS:
            raise ValueError(f"more than {_MOST_OBJECTS:,} objects")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is a link to another place")
        found = group[name]
        if isinstance(found, h5py.Group):
            _check_group(found, file_bytes, depth + 1, seen)
        elif isinstance(found, h5py.Dataset):
            _check_dataset(name, found, file_bytes)
        else:
            raise ValueError(f"{name!r} is neither a group nor a dataset")


def _check_dataset(name: str, data: h5py.Dataset, file_bytes: int) -> None:
    properties = data.id.get_create_plist()
    if data.is_virtual or data.external or properties.get_external_count():
        raise ValueError(f"{name!r} lies in another file")
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    if any(each != h5py.h5z.FILTER_DEFLATE for each in filters):
        raise ValueError(f"{name!r} is packed in a way that LIS does not use")
    is_text = h5py.check_string_dtype(data.dtype) is not None
    if data.dtype.kind not in "iuf" and not is_text:
        raise ValueError(f"{name!r} holds {data.dtype}")
    size = data.size * data.dtype.itemsize if data.size is not None else 0
    if size > min(_MOST_BYTES, file_bytes * (_MOST_PACKED if filters else 1)):
        raise ValueError(f"{name!r} claims a shape of {data.shape}, which a file of {file_bytes:,} bytes cannot hold")
    if data.chunks and int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize > _MOST_CHUNK_BYTES:
        raise ValueError(f"{name!r} claims chunks of {data.chunks}")
