"""NumPy's arrays in a pickle, as detectron2 publishes its models, read without running what a pickle may ask for.

A pickle is a program: it names functions and calls them. Here all names but those that arrays are made of are refused,
and these few stand for functions of this module, which take bytes and numbers and call nothing.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_TYPES: Final = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1"})
_LEVELS: Final = 2
"""Of dicts: a model's state in a training's."""


def read_pickled_arrays(path: Path) -> object:
    """Read a pickle of dicts, lists, words, numbers and arrays.

    Raises:
        pickle.UnpicklingError: it names something else; nothing of that was called. Damaged files raise whatever their
            bytes lead to.
    """
    with path.open("rb") as file:
        return _bare(_Unpickler(file).load())


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> "_Call":
        """What a name stands for."""
        known = _KNOWN.get((module.replace("numpy._core.", "numpy.core."), name))
        if known is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _Call(known)


class _Call:
    """A function that a pickle can call, and not change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _state: object) -> None:
        raise pickle.UnpicklingError("it changes a function")


class _Type:
    """Of an array's numbers."""

    def __init__(self, code: str, *_flags: object) -> None:
        if code not in _TYPES:
            raise pickle.UnpicklingError(f"it holds an array of {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Sequence[Any]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array that is yet to be filled."""

    values: NDArray[Any]

    def __setstate__(self, state: Sequence[Any]) -> None:
        _version, shape, dtype, is_fortran, content = state
        self.values = _filled(content, dtype, shape, "F" if is_fortran else "C").values


def _filled(content: bytes, dtype: _Type, shape: tuple[int, ...], order: Any) -> _Array:
    array = _Array()
    flat = np.frombuffer(content, dtype.dtype)
    array.values = flat.astype(dtype.dtype.newbyteorder("=")).reshape(shape, order=order)
    return array


def _empty(*_arguments: object) -> _Array:
    return _Array()


def _encoded(text: str, encoding: str) -> bytes:
    """How old protocols write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes in {encoding!r}")
    return text.encode("latin1")


_KNOWN: Final[dict[tuple[str, str], Callable[..., Any]]] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty,
    ("numpy.core.numeric", "_frombuffer"): _filled,
    ("numpy", "ndarray"): _empty,  # an argument of `_reconstruct`
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encoded,
    ("collections", "OrderedDict"): OrderedDict,
}


def _bare(value: object, levels: int = _LEVELS) -> object:
    """The arrays themselves, in dicts of dicts."""
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, dict):
        if not levels:  # a few dicts that hold one another are more than any memory, level by level
            raise pickle.UnpicklingError("it holds dicts in dicts in dicts")
        return {name: _bare(each, levels - 1) for name, each in value.items()}
    return value
