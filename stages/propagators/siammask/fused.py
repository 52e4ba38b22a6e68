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
    """relu(convolution(x) + residual); relu and residual are optional. For inference.

    The residual has the result's shape. With `overwrite`, it also lends its memory to it. `relu6` is for a convolution
    without residual.
    """

    def __init__(
        self, convolution: nn.Conv2d, relu: bool = False, overwrite: bool = False, relu6: bool = False
    ) -> None:
        super().__init__()
        self.weight = convolution.weight.detach().contiguous(memory_format=torch.channels_last)
        self.bias = None if convolution.bias is None else convolution.bias.detach()
        self.geometry = (convolution.padding, convolution.stride, convolution.dilation, convolution.groups)
        self.relu, self.overwrite, self.relu6 = relu, overwrite, relu6
        self.onednn = self.weight.device.type == "cpu" and torch.backends.mkldnn.enabled
        self.packed: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(N, inputs, H, W) and perhaps what is added to the result -> (N, outputs, H', W')."""
        padding, stride, dilation, groups = self.geometry
        if not self.onednn:
            plain = functional.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
            plain = plain if residual is None else plain + residual
            if self.relu6:
                return functional.relu6(plain, inplace=True)
            return plain.relu_() if self.relu else plain
        # The operators that torch.compile emits; it would need a compiler where the tool runs.
        onednn, relu = torch.ops.mkldnn, "relu" if self.relu else None
        arguments = (self._pack(x.shape), self.bias, padding, stride, dilation, groups)
        y: Tensor
        if self.relu6:
            y = onednn._convolution_pointwise(x, *arguments, "hardtanh", [0.0, 6.0], "")
        elif residual is None:
            y = onednn._convolution_pointwise(x, *arguments, relu or "none", [], None)
        elif self.overwrite:
            y = onednn._convolution_pointwise_.binary(residual, x, *arguments, "add", 1.0, relu, [], None)
        else:
            y = onednn._convolution_pointwise.binary(x, residual, *arguments, "add", 1.0, relu, [], None)
        return y

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
        traced.set_submodule(node.target, FusedConvolution(convolution, relu is not None, overwrite))
        while len(chain) > 1:
            chain[-1].replace_all_uses_with(node)
            traced.graph.erase_node(chain.pop())
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
