"""What lies around a training: data loaders, files, other processes."""

from __future__ import annotations

import argparse
import functools
from multiprocessing.process import BaseProcess
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from torch.utils.data._utils.worker import _worker_loop
from torch.utils.data.dataloader import _BaseDataLoaderIter

from flightcheck.adapters.torch.samplers import CONSTRUCTED

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


def loaders(o: TorchObserver) -> None:
    """DataLoaders and the batches they give."""
    constructed = o.watch.guarded(o.loaders.constructed)

    def iterated(loader: Any, iterator: Any) -> None:
        line = o.lines.here()
        o.operations.rows.collated.follow(iterator)
        o.protocol.record("loader_iter", o.loaders.iterated(loader, iterator, line), line)

    told = o.watch.guarded(iterated)

    def taken(iterator: Any, batch: Any, seconds: float, now: float) -> None:
        o.loaders.fetched(iterator, batch)
        o.operations.rows.orders.fetched(iterator, batch, o.loaders.latest_location())
        o.resources.waited(seconds, now)

    fetched, watch, rested = o.watch.guarded(taken), o.watch, o.rested
    orders = o.operations.rows.orders
    drawn = o.watch.guarded(orders.drawn)

    def construct(original: Any) -> Any:
        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            constructed(self)

        return __init__

    def iterate(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: Any) -> Any:  # noqa: N807
            iterator = original(self)
            told(self, iterator)
            return iterator

        return __iter__

    def following(original: Any) -> Any:
        @functools.wraps(original)
        def __next__(self: Any) -> Any:  # noqa: N807
            started = perf_counter()
            batch = original(self)
            now = perf_counter()
            if not (watch.resting and rested.batch(self, now - started, now)):
                fetched(self, batch, now - started, now)
            return batch

        return __next__

    def numbers(original: Any) -> Any:
        @functools.wraps(original)
        def _next_index(self: Any) -> Any:
            index = original(self)
            if watch.learning or orders.following:
                drawn(self, index)
            return index

        return _next_index

    for built in (DataLoader, *CONSTRUCTED):
        o.patches.replace(built, "__init__", construct)
    o.patches.replace(DataLoader, "__iter__", iterate)
    o.patches.replace(_BaseDataLoaderIter, "__next__", following)
    o.patches.replace(_BaseDataLoaderIter, "_next_index", numbers)


def files(o: TorchObserver) -> None:
    """States of optimizers and of models read from files, and written to files."""

    def note(read: Any) -> None:
        o.watch.resting = False  # the next step is the first one after it
        o.optimizers.state_read(read, o.lines.here())
        o.checkpoints.read(read, o.lines.here())

    told = o.watch.guarded(note)

    def load(original: Any) -> Any:
        @functools.wraps(original)
        def run(*args: Any, **kwargs: Any) -> Any:
            read = original(*args, **kwargs)
            told(read)
            return read

        return run

    def noted(value: Any = None, target: Any = None, *_: Any, obj: Any = None, f: Any = None, **__: Any) -> None:
        o.checkpoints.files.saved(obj if value is None else value, f if target is None else target, o.lines.here())

    written = o.watch.guarded(noted)

    def save(original: Any) -> Any:
        @functools.wraps(original)
        def run(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            written(*args, **kwargs)
            return result

        return run

    o.patches.replace(torch, "load", load)
    o.patches.replace(torch, "save", save)


def arguments(o: TorchObserver) -> None:
    """What a parser of command lines returns."""
    told = o.watch.guarded(o.settings.parsed)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def parse_known_args(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if isinstance(result, tuple) and result:
                told(result[0])
            return result

        return parse_known_args

    o.patches.replace(argparse.ArgumentParser, "parse_known_args", make)


def processes(o: TorchObserver) -> None:
    """Processes that the script starts: they are not watched."""

    def counted(process: BaseProcess) -> None:
        o.watch.children += getattr(process, "_target", None) is not _worker_loop

    count = o.watch.guarded(counted)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def start(self: BaseProcess) -> None:
            count(self)
            original(self)

        return start

    o.patches.replace(BaseProcess, "start", make)
