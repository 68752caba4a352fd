"""What computes the numbers, beneath the packages: processor, build of PyTorch, accelerators, driver."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch

from flightcheck.recording.starting_point import Machine

_BUILD: Final = re.compile(
    r"(?:Math Kernel Library|MKL-DNN|oneDNN|OpenMP|CUDA Runtime|CuDNN|HIP Runtime)[^\n()]*|BLAS_INFO=\w+"
)


def machine() -> Machine:
    """Looks at files and at what PyTorch knows already: no device is woken."""
    devices = []
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Machine(
        processor=_processor(), cores=os.cpu_count() or 0, instructions=_instructions(), torch_build=_build(),
        devices=devices, driver=_driver() if devices else "",
    )  # fmt: skip


def _processor() -> str:
    with suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if found is not None:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _instructions() -> str:
    with suppress(AttributeError, RuntimeError):
        return str(torch.backends.cpu.get_cpu_capability())
    return ""


def _build() -> str:
    parts = [torch.version.git_version or ""]
    with suppress(Exception):  # a text for people, of no promised form
        parts += [m.group().strip() for m in _BUILD.finditer(torch.__config__.show())]
    return "; ".join(dict.fromkeys(filter(None, parts)))


def _driver() -> str:
    with suppress(OSError):
        found = re.search(r"\b\d+\.\d+(\.\d+)?\b", Path("/proc/driver/nvidia/version").read_text())
        return found.group() if found is not None else ""
    return ""


def framework() -> str:
    """Name and version of the framework."""
    return f"torch {torch.__version__}"
