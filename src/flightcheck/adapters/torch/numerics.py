"""How the numbers are computed: device, precision, and the switches that change results."""

from __future__ import annotations

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.surroundings import Numerics


class Arithmetic:
    """Looks at the switches of PyTorch, and at every call of a model in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.autocast = ""
        self.device = ""

    def called(self, tensor: torch.Tensor | None) -> None:
        """A model is called in training, on this tensor."""
        if tensor is None:
            return
        kind = tensor.device.type
        self.device = self.device or kind
        if not self.autocast and torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            self.autocast = str(torch.get_autocast_dtype(kind)).removeprefix("torch.")

    def save(self) -> None:
        """Write the record."""
        cuda = self.device == "cuda"
        self.watch.writer.put(
            Numerics(
                device=torch.cuda.get_device_name() if cuda else self.device,
                autocast=self.autocast,
                default_dtype=str(torch.get_default_dtype()).removeprefix("torch."),
                matmul_precision=torch.get_float32_matmul_precision(),
                tf32_convolutions=bool(torch.backends.cudnn.allow_tf32) if cuda else None,
                cudnn_benchmark=bool(torch.backends.cudnn.benchmark) if cuda else None,
                deterministic=bool(torch.are_deterministic_algorithms_enabled()),
                threads=torch.get_num_threads(),
                cuda=torch.version.cuda or "" if cuda else "",
            )
        )
