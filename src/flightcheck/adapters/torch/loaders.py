"""DataLoaders: by the line that constructs them and those that call it, since many scripts build one per epoch, and
many have a function that makes all of them.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, Final

from torch.utils.data import DataLoader, DistributedSampler, SequentialSampler

from flightcheck.adapters.torch.data_digests import DataDigests, Tables
from flightcheck.adapters.torch.datasets import Datasets, length_of
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.identity import ByIdentity
from flightcheck.adapters.torch.samplers import Samplers
from flightcheck.adapters.torch.stored_examples import ExamplesInPlace
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording import provenance
from flightcheck.recording.records import LoaderInfo, Location

_MOST_PASSES: Final = 32
_MOST_FRAMES: Final = 6
_Lines = tuple[Location, ...]
"""The line that constructs a loader, that which calls the function in which it stands, and so on."""


class Loaders:
    """All DataLoaders of the training."""

    def __init__(self, watch: Watch, discovery: Discovery, tables: Tables) -> None:
        self.watch = watch
        self.discovery = discovery
        self.infos: list[LoaderInfo] = []
        self._by_lines: dict[_Lines, int] = {}
        self._constructed = ByIdentity[_Lines]()
        self._index: dict[int, tuple[Any, int]] = {}
        self._iterators: dict[int, int] = {}
        self._batches: dict[int, int] = {}
        self.last: int | None = None
        """The loader that gave the latest batch."""
        self.datasets = Datasets(watch)
        self.samplers = Samplers(watch, discovery)
        self._opened: dict[int, list[Any]] = {}
        """Per iterator: index of the loader's line, number of the dataset, batches given, batches of a pass."""
        self._fresh = -1
        self.digests = DataDigests(watch, tables)
        self.in_place = ExamplesInPlace(watch)

    def of(self, loader: DataLoader[Any]) -> int:
        """The index of a loader's line."""
        known = self._index.get(id(loader))
        if known is not None and known[0]() is loader:
            return known[1]
        lines = self._constructed.get(loader) or ()
        index = self._by_lines.get(lines)
        if index is None:
            index = len(self.infos)
            self._by_lines[lines] = index
            location, sampler = next(iter(lines), None), loader.sampler
            self.infos.append(
                LoaderInfo(
                    index=index,
                    location=location,
                    length=length_of(loader),
                    batch_size=loader.batch_size,
                    shuffle=None if sampler is None else not isinstance(sampler, SequentialSampler),
                    examples=length_of(loader.dataset),
                )
            )
            self._tell_apart(lines)
        self._index[id(loader)] = (weakref.ref(loader), index)
        return index

    def constructed(self, loader: DataLoader[Any]) -> None:
        """A loader was made."""
        self.discovery.constructed(loader)
        built = self.discovery.built.get(loader)
        made = built.location if built else None
        stack = self.watch.lines.stack(_MOST_FRAMES)
        if made is not None:  # without the frames of a class of the script's own that is a loader
            self._constructed[loader] = tuple(stack[stack.index(made) :] if made in stack else [made])

    def _tell_apart(self, lines: _Lines) -> None:
        """Where a function makes several loaders, each gets the innermost line in which they differ: of its calls."""
        alike = {known: i for known, i in self._by_lines.items() if known[:1] == lines[:1]}
        places = range(min(map(len, alike)))
        differ = next((p for p in places if len({known[p] for known in alike}) > 1), 0)
        for known, i in alike.items():
            self.infos[i] = dataclasses.replace(self.infos[i], location=known[differ] if known else None)

    def iterated(self, loader: DataLoader[Any], iterator: Any, location: Location | None) -> int:
        """``iter(loader)`` was called."""
        index = self.of(loader)
        known = len(self.datasets.infos)
        source = self.datasets.opened(loader, index)
        if source >= known:
            self.digests.opened(source, loader.dataset)
        self.samplers.opened(loader, source)
        self.in_place.opened(source, loader.dataset)
        length = self.datasets.infos[source].pass_length if source >= 0 else None
        self._opened[id(iterator)] = [index, source, 0, length]
        info = self.infos[index]
        self._iterators[index] = self._iterators.get(index, 0) + 1
        if info.iterator_location is None:
            info = self.infos[index] = dataclasses.replace(info, iterator_location=location)
        sampler = loader.sampler
        if isinstance(sampler, DistributedSampler) and sampler.shuffle:
            epochs = [*(info.sampler_epochs or []), sampler.seed + sampler.epoch][:_MOST_PASSES]
            self.infos[index] = dataclasses.replace(
                info, sampler_epochs=epochs, sampler_replicas=int(sampler.num_replicas)
            )
        return index

    def fetched(self, iterator: Any, batch: Any) -> None:
        """A batch was taken."""
        opened = self._opened.get(id(iterator))
        if opened is None:
            return
        index, source, given, _ = opened
        opened[2] += 1
        self.last = index
        self._fresh = source
        self._batches[index] = self._batches.get(index, 0) + 1
        self.datasets.fetched(source, opened[2])
        if not given:
            self.datasets.first_batch(source, batch)

    def latest_location(self) -> Location | None:
        """The line that constructed the loader of the latest batch."""
        return self.infos[self.last].location if self.last is not None else None

    def fetched_more(self, iterator: Any) -> bool | None:
        """A batch was taken in the midst of a pass: it is only counted. False for the first and the last one, None
        for one of a pass that is not known.
        """
        opened = self._opened.get(id(iterator))
        if opened is None:
            return None
        if not opened[2] or opened[2] + 1 == opened[3]:
            return False
        opened[2] += 1
        index = self.last = opened[0]
        self._fresh = opened[1]
        self._batches[index] += 1
        return True

    def source(self, training: bool) -> int:
        """The number of the dataset that gave a batch since the last call of a model, -1 if none did."""
        source, self._fresh = self._fresh, -1
        self.datasets.fed(source, training)
        return source

    def passed(self) -> None:
        """The latest batch was used in a way that is known already."""
        self._fresh = -1

    def trained(self) -> None:
        """The latest batch fed a training step."""
        if self.last is not None and not self.infos[self.last].used_in_training:
            self.infos[self.last] = dataclasses.replace(self.infos[self.last], used_in_training=True)

    def settle(self, files: set[str]) -> None:
        """Read in the source how the loops over the loaders end; `files` are those of the training and its models."""
        asked = any(map(provenance.asks_for_one_example, files))
        for i, info in enumerate(self.infos):
            line = info.iterator_location
            whole = line is not None and not asked and provenance.goes_to_the_end(line.file, line.line)
            self.infos[i] = dataclasses.replace(info, whole_passes=whole)

    def save(self) -> None:
        """Write the records."""
        for i, info in enumerate(self.infos):
            self.infos[i] = dataclasses.replace(
                info, iterators=self._iterators.get(i, 0), batches=self._batches.get(i, 0)
            )
            self.watch.writer.put(self.infos[i], i)
        self.datasets.save()
        self.digests.save(self.datasets.infos)
        self.samplers.save()
