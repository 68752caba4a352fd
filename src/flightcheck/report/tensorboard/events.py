"""TensorBoard's event file: scalars, histograms, texts and a graph, written with TensorBoard's own parts."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flightcheck.errors import MissingExtra, UsageError
from flightcheck.report.terminal import plain

BINS: Final = 30
LONGEST_TAG: Final = 200
_NOT_IN_A_TAG: Final = re.compile(r"[^\w./-]")


def require_tensorboard() -> None:
    """Say early that the package is missing.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra(
            "event files are written with TensorBoard's own package, which is not installed; "
            "pip install 'flightcheck[tensorboard]'"
        )


class EventFile:
    """One event file. A value that is no number is written as it is: TensorBoard marks it.

    Raises:
        MissingExtra: TensorBoard is not installed.
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path, started: float) -> None:
        require_tensorboard()
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("wb")
        except OSError as e:
            raise UsageError(f"{path}: cannot be written ({e.strerror}); choose another folder") from e
        self._records = RecordWriter(self._stream)
        self._tags: dict[str, str] = {}
        self._write(started, file_version="brain.Event:2")

    def scalars(self, values: dict[str, float], step: int, time: float) -> None:
        """The numbers of some series at a step, by tag; NaN and infinities included."""
        self._summary(time, step, *({"tag": self._tag(tag), "simple_value": value} for tag, value in values.items()))

    def histogram(self, tag: str, step: int, values: npt.NDArray[np.float64], time: float) -> None:
        """The distribution of the finite ones among values of any shape; nothing where there is none."""
        from tensorboard.compat.proto.summary_pb2 import HistogramProto

        finite = values[np.isfinite(values)].astype(np.float64)
        if not len(finite):
            return
        counts, edges = np.histogram(finite, bins=BINS)
        told = HistogramProto(
            min=finite.min(), max=finite.max(), num=len(finite), sum=finite.sum(), sum_squares=np.square(finite).sum(),
            bucket_limit=edges[1:].tolist(), bucket=counts.tolist(),
        )  # fmt: skip
        self._summary(time, step, {"tag": self._tag(tag), "histo": told})

    def text(self, tag: str, step: int, markdown: str, time: float) -> None:
        """A text in Markdown; see `literal` for what is not ours."""
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboard.plugins.text.metadata import create_summary_metadata

        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        content = [markdown.encode("utf-8", "replace")]
        tensor = TensorProto(dtype="DT_STRING", string_val=content, tensor_shape=shape)
        metadata = create_summary_metadata(display_name="", description="")
        self._summary(time, step, {"tag": self._tag(tag), "metadata": metadata, "tensor": tensor})

    def graph(self, graph: Any, time: float) -> None:
        """A ``GraphDef``."""
        self._write(time, graph_def=graph.SerializeToString())

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()

    def _tag(self, tag: str) -> str:
        """A tag that TensorBoard can group and search; two names that become the same one stay apart."""
        if tag not in self._tags:
            clean = shortest = _NOT_IN_A_TAG.sub("_", plain(tag))[:LONGEST_TAG]
            taken, number = set(self._tags.values()), 2
            while clean in taken:
                clean, number = f"{shortest}_{number}", number + 1
            self._tags[tag] = clean
        return self._tags[tag]

    def _summary(self, time: float, step: int, *values: dict[str, Any]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._write(time, step=step, summary=Summary(value=[Summary.Value(**v) for v in values]))

    def _write(self, time: float, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time, **event).SerializeToString())
