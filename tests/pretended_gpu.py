"""A device that is not the CPU, on a machine that has nothing else: what an engine takes for granted of a CPU fails.

Tensors on it say that they are elsewhere (on PyTorch's device `meta`), and hold numbers of the CPU that only the
operators here get at. As on a GPU, an operator with tensors of both places fails, `.numpy()` fails, `is_cpu` is false
and what is written for CPUs alone is not there. How fast a GPU is, and how it rounds, is not to be learnt.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = "meta"
_MOVES = ("_to_copy", "copy_")
_FOR_CPUS = ("mkldnn", "mkldnn_prepacked", "onednn")
"""Operators of these namespaces."""


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Within this, `DEVICE` is the name of one."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # as for parameters that truly change places
    try:
        with _Factory(), _Driver():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


class _There(Tensor):
    """A tensor on the pretended device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "_There":
        there: _There = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype, device=DEVICE
        )
        there.held = held
        return there

    # What PyTorch lets tensors on a GPU do, and not those of classes that it does not know.
    def tolist(self) -> Any:
        return self.held.tolist()

    def new_tensor(self, values: Any) -> Tensor:
        return torch.tensor(values, dtype=self.dtype, device=DEVICE)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func}: only within `pretended_gpu`")


class _Factory(TorchFunctionMode):
    """`torch.tensor` is no operator, and makes what it makes beside the driver."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        device = kwargs.pop("device", None) if func is torch.tensor else None
        made = func(*args, **kwargs)
        return made if device is None else made.to(device)


class _Driver(TorchDispatchMode):
    """Computes on what tensors there hold."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func._can_decompose():  # without gradients, operators that consist of others come whole
            with self:
                return func.decompose(*args, **kwargs)
        tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
        there = {id(each.held): each for each in tensors if isinstance(each, _There)}
        if there and func.namespace in _FOR_CPUS:
            raise AssertionError(f"{func} is for CPUs alone")
        name = func.overloadpacket.__name__
        if there and name not in _MOVES and any(each.dim() and not isinstance(each, _There) for each in tensors):
            raise AssertionError(f"{func}: tensors on both devices")
        goes_there = bool(there) if name != "copy_" else isinstance(args[0], _There)
        if kwargs.get("device") is not None:
            goes_there = kwargs["device"].type == DEVICE
            kwargs["device"] = torch.device("cpu")
        if not there and not goes_there:
            return func(*args, **kwargs)
        with torch.inference_mode(False), torch.no_grad():  # views of parameters count what is written to them
            result = func(*tree_map(_held, args), **tree_map(_held, kwargs))
            return tree_map(lambda each: self._placed(each, there), result) if goes_there else result

    @staticmethod
    def _placed(each: Any, there: dict[int, _There]) -> Any:
        """What was written in place is the tensor that it was."""
        return each if not isinstance(each, Tensor) else there[id(each)] if id(each) in there else _There(each)


def _held(each: Any) -> Any:
    return each.held if isinstance(each, _There) else each
