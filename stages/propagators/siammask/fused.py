"""Convolutions of a finished network: batch norm, addition and relu happen inside of them.

On a CPU, oneDNN wants weights in a layout of its own and rearranges those of an ordinary module at every call. Here
that happens once, and what lies between the convolutions stays channels-last. Nothing here knows SiamMask.
"""

import operator

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval


class FusedConvolution(nn.Module):
    """relu(convolution(x) + residual); relu and residual are optional. For inference."""

    def __init__(self, convolution: nn.Conv2d, relu: bool = False) -> None:
        super().__init__()
        self.weight = convolution.weight.detach().contiguous(memory_format=torch.channels_last)
        self.bias = None if convolution.bias is None else convolution.bias.detach()
        self.geometry = (convolution.padding, convolution.stride, convolution.dilation, convolution.groups)
        self.relu = relu
        self.onednn = self.weight.device.type == "cpu" and torch.backends.mkldnn.enabled
        self.packed: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(N, inputs, H, W) and perhaps what is added to the result -> (N, outputs, H', W')."""
        padding, stride, dilation, groups = self.geometry
        if not self.onednn:
            y = functional.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
            y = y if residual is None else y + residual
            return y.relu_() if self.relu else y
        # The operators that torch.compile emits; it would need a compiler where the tool runs.
        convolve = torch.ops.mkldnn._convolution_pointwise
        arguments = (self._pack(x.shape), self.bias, padding, stride, dilation, groups)
        fused: Tensor
        if residual is None:
            fused = convolve(x, *arguments, "relu" if self.relu else "none", [], None)
        else:
            fused = convolve.binary(x, residual, *arguments, "add", 1.0, "relu" if self.relu else None, [], None)
        return fused

    def _pack(self, shape: torch.Size) -> Tensor:
        """The weights in the layout for inputs of this shape. Each shape keeps its own: networks should see few."""
        if shape not in self.packed:
            weight = self.weight.contiguous().to_mkldnn()
            self.packed[shape] = torch.ops.aten.mkldnn_reorder_conv2d_weight(weight, *self.geometry, shape)
        return self.packed[shape]


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

    earlier: set[object] = set()
    for node in list(traced.graph.nodes):
        earlier.add(node)
        if node.op != "call_module" or not isinstance(convolution := modules[node.target], nn.Conv2d):
            continue
        last = node
        if norm := follower(last, nn.BatchNorm2d):
            convolution, last = fuse_conv_bn_eval(convolution, modules[str(norm.target)]), norm
        addition = _only_user(last)
        if addition and addition.target is operator.add:
            residual = next(term for term in addition.args if term is not last)
            # The other term may be a convolution that comes later: then it is the one that takes in the addition.
            if residual in earlier:
                node.args, last = (*node.args, residual), addition
        relu = follower(last, nn.ReLU)
        traced.set_submodule(node.target, FusedConvolution(convolution, relu is not None))
        (relu or last).replace_all_uses_with(node)
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
