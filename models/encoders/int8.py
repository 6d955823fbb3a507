"""Linear layers in 8 bits: weights scaled by output channel, activations by token.

torch's own dynamic quantisation scales a whole batch of activations at once. A transformer's activations hold
a few large values, so most tokens are left with a handful of levels, and what a text reads like depends on
the texts beside it. With a scale of its own for each token both go away, for about a tenth of the speed
(docs/decisions/0006). Source: Dettmers et al. 2022, LLM.int8 (vector-wise).
"""

from __future__ import annotations

import warnings

import torch

_ENGINE = "x86"
_TINY = 1e-8
_linear = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32


def available() -> bool:
    """Whether this CPU and this torch have the kernels."""
    return _ENGINE in torch.backends.quantized.supported_engines


def quantise(body: torch.nn.Module) -> None:
    """Put an `Int8Linear` for every linear layer in `body`, in place."""
    torch.backends.quantized.engine = _ENGINE
    for module in list(body.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear:
                setattr(module, name, Int8Linear(child))


class Int8Linear(torch.nn.Module):
    """A linear layer for inference with 8-bit weights.

    Each token's activations are scaled by their largest.
    """

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(1).clamp_min(_TINY).double() / 127
        zero = torch.zeros(len(scale), dtype=torch.long)
        with warnings.catch_warnings():
            # these tensors are deprecated; torch is pinned (docs/decisions/0006)
            warnings.simplefilter("ignore")
            eight = torch.quantize_per_channel(weight, scale, zero, 0, torch.qint8)
        self._packed = torch.ops.quantized.linear_prepack(eight, None)
        bias = linear.bias
        self._bias = torch.zeros(len(scale)) if bias is None else bias.detach().float()
        # without VNNI the kernels add up pairs of products in 16 bits, where only 7-bit activations fit
        self._half = 128 if torch.cpu._is_vnni_supported() else 64

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (..., inputs) to (..., outputs)."""
        largest = x.abs().amax(-1, keepdim=True).clamp_min_(_TINY)
        out = _linear(x / largest, 1 / (self._half - 0.5), self._half, self._packed)
        return torch.addcmul(self._bias, out, largest)
