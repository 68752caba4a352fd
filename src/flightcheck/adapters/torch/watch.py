"""The state that all collectors share: where in the training we are, and what is to be measured now."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from torch._C import DisableTorchFunction

from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.recording.store import RunWriter

if TYPE_CHECKING:
    import torch

P = ParamSpec("P")
R = TypeVar("R")

LEARNING_STEPS: Final = 8
"""Rounds of the learning pass: enough for a check that asks for 8 probes of a fact (C02), few enough that its cost
(function mode, graph walks: up to 2× on small steps) ends within seconds."""
DENSE_ROUNDS: Final = 100
"""Rounds whose calls are all recorded; later ones only when they are sampled, or rare (modes, scaler skips)."""
ERRORS_TOLERATED: Final = 20
"""After so many errors of our own the watch goes blind: the training is worth more than its observation."""


class Watch:
    """Where the training is (``step``), and how closely to look (``learning``, ``sampled``)."""

    def __init__(self, writer: RunWriter, lines: SourceLines) -> None:
        self.writer = writer
        self.lines = lines
        self.step = 0
        self.learning = True
        self.sampled = True
        """Everything is measured in this round: weights, updates, activations."""
        self.norms = True
        """Gradient norms are measured in this round."""
        self.resting = False
        """Of this round only the loss is read (`rested`)."""
        self.weights = True
        """Weights and updates are measured in this round."""
        self.outputs = True
        """Activations are measured in this round."""
        self.rows = 64
        """Rows of an activation that are looked at in rounds that are not sampled."""
        self.every_step = False
        """They are measured in every round, so that one look before a step also tells what the last one did."""
        self.may_wait = True
        """A look at a graphics card may wait for it in this round; else its numbers are read when they arrive."""
        self.level = 0
        """How closely this round is looked at (`budget`)."""
        self.on = True
        self.function_mode = False
        """Our function mode is on PyTorch's stack: every operation passes through Python."""
        self.compiled = False
        self.checkpointed = False
        """A forward pass runs without a graph, and again with one inside the backward: reentrant checkpointing."""
        self.spent = 0.0
        """Seconds in our own code since the start."""
        self.clock: Callable[[], float] = time.perf_counter
        """Measures `spent`; the thread's own clock, which stands while other programs run, takes 1.5 µs a look."""
        self.errors: list[str] = []
        self.other_threads: set[int] = set()
        """Threads that ran a backward, and are not ours."""
        self.children = 0
        """Processes that the script started, other than the workers of a DataLoader."""
        self._pid = os.getpid()
        self.thread = get_ident()
        """The thread that is watched."""
        self._sequence = 0
        self._nested = 0

    def mine(self) -> bool:
        """The caller is the watched process and thread (not a forked worker, whose watch is off; not a replica's
        thread).
        """
        return self.on and get_ident() == self.thread

    @property
    def busy(self) -> bool:
        """Code of ours is running: what it computes is not the user's."""
        return self._nested > 0

    @property
    def records_calls(self) -> bool:
        """Calls of this round are recorded."""
        return self.sampled or self.step < DENSE_ROUNDS

    def reads(self, tensor: torch.Tensor) -> bool:
        """The numbers of a tensor may be looked at now: nobody waits for a graphics card, or it is a round to do so."""
        return tensor.is_cpu or (self.may_wait and not recorded())

    def note_thread(self) -> None:
        """A backward runs here, perhaps in a thread that is not watched."""
        if self.on and os.getpid() == self._pid and (thread := get_ident()) != self.thread:
            self.other_threads.add(thread)

    def elsewhere(self) -> list[str]:
        """Where a training may have been that we do not watch, in words."""
        told = []
        if self.other_threads:
            told.append(f"training in {len(self.other_threads)} other threads: only the script's first one is watched")
        if self.children:
            told.append(f"{self.children} processes that the script started: only its own process is watched")
        return told

    def next_sequence(self) -> int:
        """A running number for things that happen in order."""
        self._sequence += 1
        return self._sequence

    def guarded(self, function: Callable[P, R]) -> Callable[P, R | None]:
        """The function with its time booked as ours, silent outside the watched thread, and unable to raise."""

        @functools.wraps(function)
        def safe(*args: P.args, **kwargs: P.kwargs) -> R | None:
            if not self.on or get_ident() != self.thread:
                return None
            outermost = not self._nested
            self._nested += 1
            clock = self.clock
            start = clock()
            try:
                if outermost and self.function_mode:
                    with DisableTorchFunction():  # what we ask of a tensor is not the script's: let it not pass there
                        return function(*args, **kwargs)
                return function(*args, **kwargs)
            except Exception as e:
                self.note_error(function.__qualname__, e)
                return None
            finally:
                self._nested -= 1
                if outermost:
                    self.spent += clock() - start

        return safe

    def attempt(self, where: str, act: Callable[[], object]) -> None:
        """Do something, even where the watch is blind by now; a fault of it is noted."""
        try:
            act()
        except Exception as e:
            self.note_error(where, e)

    def note_error(self, where: str, error: BaseException) -> None:
        """Keep an error of ours for the report; after too many, stop watching."""
        self.errors.append(f"{where}: {type(error).__name__}: {error}")
        if os.environ.get("FLIGHTCHECK_DEBUG"):
            import traceback

            traceback.print_exc()
        if len(self.errors) >= ERRORS_TOLERATED:
            self.on = False


def recorded() -> bool:
    """What is asked of a graphics card now becomes part of a CUDA graph: replayed for ever, or its recording fails."""
    import torch

    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()  # type: ignore[no-untyped-call]


def hands_off() -> bool:
    """The code is compiled, traced or transformed (vmap): its tensors hold no numbers; or it is computed again inside
    a backward (checkpointing), where it was seen already.
    """
    import torch

    return (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._current_graph_task_id() != -1
    )


def is_unreadable(value: Any) -> bool:
    """A tensor of which PyTorch refuses to tell the `grad_fn`.

    That is a view that was made without gradients and written since then (``nn.init.orthogonal_`` makes one of each
    weight), and a parameter that has no size yet.
    """
    import torch

    if not isinstance(value, torch.Tensor):
        return False
    try:
        if value._is_view():
            value.grad_fn  # noqa: B018
    except (RuntimeError, ValueError):
        return True
    return False


def is_plain_tensor(value: Any) -> bool:
    """A dense, real, strided tensor whose numbers can be read, without asking other processes for theirs."""
    import torch

    if not (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and not value.is_nested
        and value.device.type != "meta"
        and not value.is_complex()
        and not value.is_quantized
        and not hasattr(value, "_local_tensor")  # `shards.is_shard`, and below `given_back`, without their calls
    ):
        return False
    try:
        return value.untyped_storage().size() > 0 or not value.numel()
    except (NotImplementedError, ValueError):  # it stands for many, inside of vmap; a parameter that has no size yet
        return False
