"""Samplers: how many weights and indices they have, read from attributes of PyTorch's own classes."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import DataLoader, RandomSampler, Subset, SubsetRandomSampler, WeightedRandomSampler

from flightcheck.adapters.torch.datasets import length_of
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.adapters.torch.watch import Watch
from flightcheck.adapters.torch.weighted_classes import weighted_classes
from flightcheck.recording.provenance import argument_data_origin
from flightcheck.recording.samplers import SamplerInfo

CONSTRUCTED: Final = (WeightedRandomSampler, SubsetRandomSampler, RandomSampler, Subset)
"""Classes whose lines of construction are noted."""


class Samplers:
    """The samplers of all loaders, by the number of their dataset."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self.infos: dict[int, SamplerInfo] = {}

    def opened(self, loader: DataLoader[Any], source: int) -> None:
        """An iterator over dataset number `source` was made."""
        sampler, dataset = loader.sampler, loader.dataset
        weights = len(sampler.weights) if type(sampler) is WeightedRandomSampler else None
        known = self.infos.get(source)
        if known is not None:
            if known.weights != weights:
                self.infos[source] = dataclasses.replace(known, weights=None, class_weights=None, misplaced=0.0)
            return
        if source < 0:
            return
        masked: Any = None
        if type(sampler) is SubsetRandomSampler and _truth_values(sampler.indices):
            masked = sampler
        elif type(dataset) is Subset and _truth_values(dataset.indices):
            masked = dataset
        built = self.discovery.built.get(sampler if masked is None else masked)
        drawn = type(sampler) in (WeightedRandomSampler, RandomSampler, SubsetRandomSampler)
        info = SamplerInfo(
            source=source,
            type=type(sampler).__name__,
            examples=length_of(dataset),
            weights=weights,
            draws=length_of(sampler) if drawn else None,
            location=built.location if built else None,
            masked=masked is not None,
        )
        self.infos[source] = (
            _with_classes(info, sampler, dataset, self.watch.lines) if weights == info.examples else info
        )

    def save(self) -> None:
        """Write the records."""
        for i, info in enumerate(self.infos.values()):
            self.watch.writer.put(info, i)


def _with_classes(info: SamplerInfo, sampler: Any, dataset: Any, lines: SourceLines) -> SamplerInfo:
    """With what the weights say of the classes that the dataset holds."""
    found = weighted_classes(dataset, sampler.weights) if info.weights else None
    if found is None:
        return info
    at = info.location
    origin = argument_data_origin(at.file, at.line, "weights", 0, info.type) if at is not None else None
    return dataclasses.replace(
        info,
        class_counts=found.counts.tolist(),
        class_weights=None if found.weights is None else found.weights.tolist(),
        misplaced=found.misplaced,
        weight_origin=lines.of(*origin) if origin is not None else None,
    )


def _truth_values(indices: Any) -> bool:
    if isinstance(indices, torch.Tensor):
        return indices.dtype == torch.bool and indices.numel() > 0
    if isinstance(indices, np.ndarray):
        return indices.dtype == np.bool_ and indices.size > 0
    if type(indices) not in (list, tuple) or not indices:
        return False
    return all(isinstance(i, (bool, np.bool_)) for i in indices[:1000])
