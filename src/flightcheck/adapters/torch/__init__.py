"""Watching PyTorch without a change to the script."""

from flightcheck.adapters.torch.observer import StopTraining, TorchObserver

__all__ = ["StopTraining", "TorchObserver"]
