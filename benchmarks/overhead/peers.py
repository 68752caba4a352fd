"""What other tools that watch a PyTorch training cost, each as its own documentation attaches it.

They are taken out of the process between their blocks, as ours is. None is a dependency of this project: see
benchmarks/overhead/peers.txt and ``python -m benchmarks.overhead --peers``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch import nn

from benchmarks.overhead.watching import hooks
from benchmarks.overhead.workloads import Workload

EVERY: Final = 10
"""Steps between two looks of the tools that can be told; their own defaults are 100 to 1,000."""


class Peer:
    """One tool on one training."""

    name: ClassVar[str]
    sees: ClassVar[str]
    """What it computes, and how often."""

    def __init__(self, work: Workload, folder: Path) -> None:
        self.work = work
        self.model: nn.Module = work.model
        self.optimizer: torch.optim.Optimizer = work.optimizer
        self.folder = folder
        self.steps = 0
        self.attach()
        self.pause()

    def attach(self) -> None:
        """Import the tool and give it the model."""

    def log(self, loss: torch.Tensor) -> None:
        """What the script is asked to call in every step, after the gradients are there and before the update."""

    def resume(self) -> None:
        """Watch from here on."""
        self.work.listeners.append(self.log)

    def pause(self) -> None:
        """Out."""
        self.work.listeners.clear()

    def close(self) -> None:
        """The end."""


class TorchAudit(Peer):
    """torch-audit's "zero-touch" mode."""

    name = "torch-audit"
    sees = f"gradients, parameters, activations' zeros by rules, every {EVERY} steps"

    def attach(self) -> None:
        from torch_audit.runtime import Auditor

        self.auditor: Any = Auditor(self.model, optimizer=self.optimizer, every_n_steps=EVERY)

    def resume(self) -> None:
        self.auditor.autopatch(run_static=False, run_init=False)

    def pause(self) -> None:
        self.auditor.unpatch()


class GradSnitch(Peer):
    """gradsnitch's monitor."""

    name = "gradsnitch"
    sees = "loss, one gradient norm and one update/weight ratio of the whole model, every step"

    def attach(self) -> None:
        import gradsnitch

        self.monitor: Any = gradsnitch.watch(self.model, self.optimizer)

    def log(self, loss: torch.Tensor) -> None:
        self.steps += 1
        self.monitor.log(self.steps, loss.item())


class ModelClinic(Peer):
    """model-clinic's monitor."""

    name = "model-clinic"
    sees = f"standard deviation of each layer's output every step; gradient and weight norms, dead rows every {EVERY}"

    def attach(self) -> None:
        from model_clinic import ClinicMonitor

        self.monitor: Any = ClinicMonitor(self.model, log_every=EVERY)

    def log(self, loss: torch.Tensor) -> None:
        self.steps += 1
        self.monitor.step(self.steps, loss=loss.item())

    def resume(self) -> None:
        super().resume()
        self.monitor._register_hooks()

    def pause(self) -> None:
        super().pause()
        self.monitor._remove_hooks()


class WandbWatch(Peer):
    """``wandb.watch`` in offline mode; its service is another process, whose time is not counted."""

    name = "wandb watch"
    sees = f"loss every step; histograms of gradients and parameters every {EVERY}"

    def attach(self) -> None:
        os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=str(self.folder))
        import wandb

        self.wandb: Any = wandb
        self.run = wandb.init(project="cost", dir=str(self.folder), settings=wandb.Settings(console="off"))

    def log(self, loss: torch.Tensor) -> None:
        self.run.log({"loss": loss.item()})

    def resume(self) -> None:
        super().resume()
        self.run.watch(self.model, log="all", log_freq=EVERY)

    def pause(self) -> None:
        super().pause()
        self.run.unwatch(self.model)

    def close(self) -> None:
        self.run.finish()


class Cockpit(Peer):
    """Cockpit's smallest set of instruments; BackPACK's extensions do not know every layer."""

    name = "cockpit (economy)"
    sees = f"quantities of its economy configuration, every {EVERY} steps"

    def attach(self) -> None:
        from backpack import extend
        from cockpit import Cockpit as Instruments
        from cockpit.utils.configuration import configuration

        self.loss = extend(nn.CrossEntropyLoss())
        self.each = nn.CrossEntropyLoss(reduction="none")
        quantities = configuration("economy", track_schedule=lambda n: n % EVERY == 0)
        self.instruments: Any = Instruments(extend(self.model).parameters(), quantities=quantities)

    def resume(self) -> None:
        self.work.backward = self._backward
        for there, kept in getattr(self, "kept", []):
            there.update(kept)

    def pause(self) -> None:
        self.work.backward = None
        on_model = [d for m in self.model.modules() for name, d in vars(m).items() if name.endswith("_hooks")]
        self.kept = [(there, dict(there)) for there in on_model if there]
        for there, _ in self.kept:
            there.clear()  # BackPACK's own, which `extend` leaves on the model

    def _backward(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        loss, losses = self.loss(outputs, targets), self.each(outputs, targets)
        info = {
            "batch_size": len(targets), "individual_losses": losses, "loss": loss, "optimizer": self.optimizer,
        }  # fmt: skip
        with self.instruments(self.steps, info=info):
            loss.backward(create_graph=self.instruments.create_graph(self.steps))
        self.steps += 1


PEERS: Final[tuple[type[Peer], ...]] = (TorchAudit, GradSnitch, ModelClinic, WandbWatch, Cockpit)


def attached(work: Workload, folder: Path, tell: Callable[[str], None]) -> list[Peer]:
    """The tools that are installed and accept this training; of the others it is told why not."""
    found = []
    for kind in PEERS:
        peer = None
        try:
            peer = kind(work, folder)
            peer.resume()
            for _ in range(2 * EVERY):
                work.step()
            peer.pause()
            if hooks(work.model):
                raise RuntimeError("it leaves hooks on the model, so nothing else could be measured beside it")
        except Exception as error:  # a foreign tool may fail in any way; the page says so
            reason = str(error).splitlines()[0][:200] if str(error) else ""
            tell(f"{kind.name}: {type(error).__name__}: {reason}")
            if peer is not None:
                peer.pause()
            continue
        found.append(peer)
    return found
