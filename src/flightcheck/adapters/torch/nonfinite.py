"""The first NaN or infinity: where it began."""

from __future__ import annotations

import math
from typing import Any

import torch

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.forward import Forward
from flightcheck.adapters.torch.graph import NodeLines, origin_of_non_finite
from flightcheck.adapters.torch.operations import Operations
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.pieces import pieces
from flightcheck.adapters.torch.shards import at_hand
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.records import Location, NonFinite


class NonFiniteOrigin:
    """Looks for the origin once; what follows is a consequence."""

    def __init__(
        self, watch: Watch, discovery: Discovery, forward: Forward, operations: Operations, lines: NodeLines
    ) -> None:
        self.watch = watch
        self.discovery = discovery
        self.forward = forward
        self.operations = operations
        self.lines = lines
        self.found = False

    def loss_is_not_finite(self, loss: torch.Tensor, site: str, location: Location | None) -> None:
        """Called before the backward of a loss that is NaN or infinite."""
        if self.found:
            return
        self.found = True
        bad_input = self._input()
        bad_parameter = self._parameter()
        origin = origin_of_non_finite(loss)
        if bad_input is not None:
            record = bad_input
        elif bad_parameter is not None:
            record = NonFinite(
                self.watch.step, "parameter", bad_parameter[0], "", bad_parameter[1], {"value": float(loss.detach())}
            )
        elif origin is not None:
            node, reason, detail = origin
            line = self.lines.line(site, loss, node, self.operations.lines) or location
            detail = {**detail, "reason": reason}
            record = NonFinite(self.watch.step, "loss", "", node.name(), line, detail, self._module(node))
        else:
            record = NonFinite(self.watch.step, "loss", "", "", location, {"value": float(loss.detach())})
        self.watch.writer.put(record)
        self.watch.writer.flush(force=True)

    def gradient_is_not_finite(self, held: Held, site: str, location: Location | None) -> None:
        """Called before a step whose gradients are not finite although the loss was."""
        if self.found:
            return
        self.found = True
        bad = [
            i for i in held.indices
            if (p := self.discovery.parameter_refs[i]()) is not None and p.grad is not None
            and p.grad.layout is torch.strided and not _finite(p.grad)
        ]  # fmt: skip
        names = [self.discovery.parameters[i].name for i in bad]
        suspects = self.lines.unsafe(site)
        operation, line = suspects[0] if suspects else ("", location)
        detail = {"parameters": len(names), "of": len(held.indices), "suspects": [f"{n} {s}" for n, s in suspects[:5]]}
        self.watch.writer.put(NonFinite(self.watch.step, "gradient", ", ".join(names[:3]), operation, line, detail))
        self.watch.writer.flush(force=True)

    def _input(self) -> NonFinite | None:
        for name, ref in self.forward.last_inputs:
            tensor = ref()
            if tensor is not None and is_plain_tensor(tensor) and tensor.is_floating_point() and not _finite(tensor):
                detail: dict[str, Any] = {"shape": list(tensor.shape)}
                if tensor.dim() > 0 and tensor.shape[0] > 0:
                    bad = (~torch.isfinite(tensor.detach().flatten(1) if tensor.dim() > 1 else tensor[:, None])).any(1)
                    detail["rows"] = bad.nonzero().flatten()[:8].tolist()
                return NonFinite(self.watch.step, "input", name, "", None, detail)
        return None

    def _parameter(self) -> tuple[str, Location | None] | None:
        for index, info in enumerate(self.discovery.parameters):
            parameter = self.discovery.parameter_refs[index]()
            if parameter is not None and parameter.is_floating_point() and not _finite(parameter):
                return info.name, info.location
        return None

    def _module(self, node: Any) -> str:
        owner = self.operations.owners.get(node)
        return self.discovery.modules[owner].path if owner is not None else ""


def _finite(tensor: torch.Tensor) -> bool:
    part = at_hand(tensor)
    if part is None or part.layout is not torch.strided:
        return part is None or math.isfinite(float(part.detach().double().sum()))
    return all(math.isfinite(float(p.double().sum())) for p in pieces(part.detach()))
