"""A plain training loop over copies of the user's objects; those and all random generators stay as they were."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.overrides import BaseTorchFunctionMode


class NoPairs(ValueError):
    """The batches are not what a training can be fed with."""


@dataclass
class Ingredients:
    """What a training is made of."""

    model: nn.Module
    loss_fn: Callable[[Any, Any], torch.Tensor]
    batches: Iterable[Any]
    optimizer: Optimizer

    def copied(self) -> Ingredients:
        """Model, loss and optimizer anew, the optimizer over the new model's parameters; the batches are shared.

        Raises:
            ValueError: something cannot be copied.
        """
        memo: dict[int, Any] = {}
        try:
            model, loss_fn, optimizer = copy.deepcopy((self.model, self.loss_fn, self.optimizer), memo)
            for name, value in vars(self.optimizer).items():
                # What an optimizer leaves out of its state (LBFGS: its list of parameters). Never a function: that
                # which a scheduler puts in the place of `step` would step the user's own optimizer.
                if name not in vars(optimizer) and not callable(value):
                    setattr(optimizer, name, copy.deepcopy(value, memo))
        except Exception as e:
            what = f"{type(e).__name__}: {e}"
            raise ValueError(f"model, loss_fn and optimizer must be copyable; deepcopy says {what}") from e
        return Ingredients(model, loss_fn, self.batches, optimizer)


@contextmanager
def untouched() -> Iterator[None]:
    """Random generators of Python, NumPy and torch, and the mode of gradients, are afterwards as they were."""
    python, numpy_, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    started = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = torch.cuda.get_rng_state_all() if started else None
    gradients = torch.is_grad_enabled()
    try:
        with torch.enable_grad():
            yield
    finally:
        torch.set_grad_enabled(gradients)
        random.setstate(python)
        np.random.set_state(numpy_)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def seed(number: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(number)
    np.random.seed(number % 2**32)
    torch.manual_seed(number)


def train(given: Ingredients, steps: int) -> None:
    """Train for so many steps, over the batches again and again.

    A batch is ``(inputs, targets)``; where `inputs` is a dictionary, the model gets its items as keyword arguments,
    where it is a tuple or list, as positional ones.

    Raises:
        NoPairs: there are no batches, or they are not pairs.
    """
    given.model.train()
    for _, batch in zip(range(steps), _again_and_again(given.batches)):
        inputs, targets = _pair(batch)

        def closure(inputs: Any = inputs, targets: Any = targets) -> torch.Tensor:
            given.optimizer.zero_grad()
            outputs = _called(given.model, inputs)
            # Under a function mode PyTorch looks its functions up by name: losses imported earlier are seen, too.
            with BaseTorchFunctionMode():
                loss = given.loss_fn(outputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        if isinstance(given.optimizer, torch.optim.LBFGS):
            given.optimizer.step(closure)  # type: ignore[no-untyped-call]
        else:
            closure()
            given.optimizer.step()


def _again_and_again(batches: Iterable[Any]) -> Iterator[Any]:
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        what = type(batches).__name__
        raise NoPairs(f"batches must be something that can be iterated again and again, but it is {what}")
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise NoPairs("batches is empty, or an iterator that is used up; give a list or a DataLoader")


def _pair(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    raise NoPairs(f"each batch must be a pair (inputs, targets), but one is {type(batch).__name__}")


def _called(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)
