"""Convolutions of a finished network: batch norm, addition and activation happen inside of them.

On a CPU, oneDNN wants weights in a layout of its own and rearranges those of an ordinary module at every call; and for
small inputs PyTorch takes another library altogether. Here that happens once, and always oneDNN computes, but for wide
3x3 kernels, which Winograd's method is faster for. Where oneDNN is not there, on a GPU for instance, the convolution
does what it always did.

A fused convolution computes in the type of its weights, whatever it is given: `compute_in` makes that bfloat16.
"""

import copy
import operator
from collections import OrderedDict
from functools import cache
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stages.nn.lite import SameConv2d
from stages.nn.winograd import WinogradConvolution, suits

_ACTIVATIONS: dict[type[nn.Module] | None, tuple[str, list[float]]] = {
    None: ("none", []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}
"""oneDNN's names."""
_KEPT_SHAPES = 16
_HAS_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


@cache
def _onednn_knows(kind: torch.dtype) -> bool:
    """Not bfloat16 on a processor without AVX-512, for instance."""
    return _HAS_ONEDNN and (kind != torch.bfloat16 or torch.ops.mkldnn._is_mkldnn_bf16_supported())


class FusedConvolution(nn.Module):
    """activation(convolution(x) + residual); the activation and the residual are optional.

    The residual has the result's shape. With `overwrite`, it also lends its memory to it.
    """

    def __init__(
        self, convolution: nn.Conv2d, activation: type[nn.Module] | None = None, overwrite: bool = False
    ) -> None:
        """`activation` is `nn.ReLU`, `nn.ReLU6` (without a residual), or None."""
        super().__init__()
        self.convolution = copy.deepcopy(convolution).requires_grad_(False)
        self._winograd = WinogradConvolution(self.convolution) if suits(convolution) else None
        self.activation, self.overwrite = activation, overwrite
        self._packed: OrderedDict[torch.Size, tuple[object, ...]] = OrderedDict()

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(N, inputs, H, W) and perhaps what is added to the result -> (N, outputs, H', W'), of the weights' type."""
        return self._convolved(x, residual, self.activation)

    def added(self, x: Tensor, residual: Tensor) -> Tensor:
        """relu(convolution(x) + residual), whatever the activation is."""
        return self._convolved(x, residual, nn.ReLU)

    def compute_in(self, kind: torch.dtype) -> None:
        """Change the type of the weights."""
        self.convolution.to(kind)
        self._winograd = None  # its sums want more bits than bfloat16 has
        self._packed.clear()

    def _convolved(self, x: Tensor, residual: Tensor | None, activation: type[nn.Module] | None) -> Tensor:
        kind = self.convolution.weight.dtype
        x, residual = x.to(kind), None if residual is None else residual.to(kind)
        winograd = self._winograd if self._winograd and self._winograd.pays(x) else None
        if winograd or not (x.is_cpu and torch.backends.mkldnn.enabled and _onednn_knows(kind)):
            plain = (winograd or self.convolution)(x)
            plain = plain if residual is None else plain + residual
            return activation(inplace=True)(plain) if activation else plain
        # The operators that torch.compile emits; it would need a compiler where the tool runs.
        onednn, (name, scalars) = torch.ops.mkldnn, _ACTIVATIONS[activation]
        arguments = self._arguments(x)
        y: Tensor
        if residual is None:
            y = onednn._convolution_pointwise(x, *arguments, name, scalars, "")
        else:
            binary = onednn._convolution_pointwise_ if self.overwrite else onednn._convolution_pointwise
            operands = (residual, x) if self.overwrite else (x, residual)
            y = binary.binary(*operands, *arguments, "add", 1.0, name if activation else None, [], None)
        return y

    def __getstate__(self) -> dict[str, object]:
        """OneDNN's tensors cannot be copied; they are made again."""
        return {**self.__dict__, "_packed": OrderedDict()}

    def _arguments(self, x: Tensor) -> tuple[object, ...]:
        """Weights in oneDNN's own layout, bias and geometry.

        The layout depends on the input's shape, and a wrong one makes a convolution ten times slower: every shape has
        its own weights, the latest 16 are kept. For small networks that see few shapes.
        """
        if x.shape not in self._packed:
            if len(self._packed) == _KEPT_SHAPES:
                self._packed.popitem(last=False)
            convolution, padding = self.convolution, cast(tuple[int, ...], self.convolution.padding)
            weight = convolution.weight
            if isinstance(convolution, SameConv2d):
                weight, padding = convolution.fitted(x.shape[-2:])
            dilation = (1, 1) if convolution.kernel_size == (1, 1) else convolution.dilation  # see `for_inference`
            geometry = padding, convolution.stride, dilation, convolution.groups
            own_layout = weight.contiguous().to_mkldnn()
            packed = torch.ops.aten.mkldnn_reorder_conv2d_weight(own_layout, *geometry, x.shape)
            self._packed[x.shape] = packed, convolution.bias, *geometry
        self._packed.move_to_end(x.shape)
        return self._packed[x.shape]


def compute_in(network: nn.Module, kind: torch.dtype) -> None:
    """Let a network's fused convolutions compute in another type, in place; all else stays float32.

    bfloat16 has the range of float32 and 8 bits instead of 24. Sums inside of a convolution keep all bits.
    """
    for module in network.modules():
        if isinstance(module, FusedConvolution):
            module.compute_in(kind)


def relu_of_sum(convolution: nn.Module, x: Tensor, residual: Tensor) -> Tensor:
    """relu(convolution(x) + residual), all of it inside of the convolution if that is fused."""
    if isinstance(convolution, FusedConvolution):
        return convolution.added(x, residual)
    return functional.relu(residual + convolution(x))


def fuse_convolutions(network: nn.Module) -> None:
    """Fuse every convolution of a network in place, within an `nn.Sequential` with the activation behind it.

    Normalisations have to be folded before; gradients do not pass any more.
    """
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Conv2d):
            setattr(network, name, FusedConvolution(child))
        elif isinstance(child, nn.Sequential):
            setattr(network, name, _fused_sequence(child))
        elif not isinstance(child, FusedConvolution | WinogradConvolution):
            fuse_convolutions(child)


def _fused_sequence(sequence: nn.Sequential) -> nn.Sequential:
    layers: list[nn.Module] = []
    for layer in sequence:
        if isinstance(layer, nn.Identity):
            continue
        last = layers[-1] if layers else None
        if isinstance(last, FusedConvolution) and last.activation is None and isinstance(layer, nn.ReLU | nn.ReLU6):
            last.activation = type(layer)
        else:
            layers.append(FusedConvolution(layer) if isinstance(layer, nn.Conv2d) else layer)
    fused = nn.Sequential(*layers)
    fuse_convolutions(fused)
    return fused


def fuse(module: nn.Module) -> nn.Module:
    """Rewrite a module: each convolution takes in the batch norm, the addition and the relu that follow it.

    Args:
        module: in eval mode and traceable by torch.fx (no control flow that depends on values); it is not changed.

    Returns:
        A module with the same inputs and outputs, equal but for rounding.
    """
    traced = fx.symbolic_trace(module)
    modules = dict(traced.named_modules())

    def follower(node: fx.Node, kind: type[nn.Module]) -> fx.Node | None:
        user = _only_user(node)
        return user if user and user.op == "call_module" and isinstance(modules[str(user.target)], kind) else None

    earlier: set[fx.Node] = set()
    convolutions: set[fx.Node] = set()
    for node in list(traced.graph.nodes):
        earlier.add(node)
        if node.op != "call_module" or not isinstance(convolution := modules[node.target], nn.Conv2d):
            continue
        convolutions.add(node)
        chain, overwrite = [node], False
        if norm := follower(node, nn.BatchNorm2d):
            convolution = fuse_conv_bn_eval(convolution, modules[str(norm.target)])
            chain.append(norm)
        addition = _only_user(chain[-1])
        if addition and addition.target is operator.add:
            residual = next((term for term in addition.args if term is not chain[-1]), None)
            # The other term may be a convolution that comes later: then it is the one that takes in the addition.
            if isinstance(residual, fx.Node) and residual in earlier:
                overwrite = residual in convolutions and convolutions.issuperset(residual.users.keys() - {addition})
                node.args = (*node.args, residual)
                chain.append(addition)
        if relu := follower(chain[-1], nn.ReLU):
            chain.append(relu)
        traced.set_submodule(node.target, FusedConvolution(convolution, nn.ReLU if relu else None, overwrite))
        while len(chain) > 1:
            chain[-1].replace_all_uses_with(node)
            traced.graph.erase_node(chain.pop())
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
