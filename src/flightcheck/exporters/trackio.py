"""trackio: a database in a folder, which ``trackio show`` serves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, ClassVar, Final

from flightcheck.exporters import base
from flightcheck.exporters.base import Contents, Heading, Param, Point

_HOME: Final = "~/.cache/huggingface/trackio"
"""Where trackio looks by itself."""
_QUIET: Final = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


class Exporter(base.Exporter):
    """One run of trackio.

    trackio writes from a thread that it only waits for when a run is finished: so everything that is handed over is a
    run that is taken up, and finished again.
    """

    package: ClassVar[str] = "trackio"
    extra: ClassVar[str] = "trackio"

    @classmethod
    def place(cls, where: str) -> str:
        """The folder of trackio's databases: TRACKIO_DIR, or its own default, without a word."""
        return base.folder_of(where, os.environ.get("TRACKIO_DIR") or _HOME)

    def begin(self, heading: Heading, known: str, tried: bool) -> str:
        os.environ.update({**_QUIET, "TRACKIO_DIR": self.destination.where})
        self._name = known or f"{heading.id}-{self.export[:4]}"
        self._config: dict[str, Any] = {"command": heading.command, "script": heading.script}
        self._resume = "allow" if known or tried else "never"
        return self._name

    @contextmanager
    def _taken_up(self) -> Iterator[Any]:
        import trackio

        run = trackio.init(
            project=self.destination.project, name=self._name, config=dict(self._config), resume=self._resume,
            embed=False, auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip
        self._resume = "allow"
        try:
            yield run
        finally:
            trackio.finish()

    def describe(self, params: Mapping[str, Param]) -> None:
        self._config |= params

    def log(self, points: Sequence[Point]) -> None:
        with self._taken_up() as run:
            for step, row in groupby(points, key=lambda p: p.step):
                run.log({p.name: p.value for p in row}, step=step)
            self._last = points[-1].step

    def finish(self, contents: Contents) -> None:
        import trackio

        self._config |= {**contents.tags, "flightcheck.labels": " ".join(contents.labels)}
        for source in contents.data:
            self._config[f"data.{source.role}"] = f"{source.name} {source.digest}"
        with self._taken_up() as run:
            run.log({"findings": trackio.Markdown(contents.text)}, step=getattr(self, "_last", 0))
            artifact = trackio.Artifact(f"flightcheck-{self.export}", "flightcheck", metadata=dict(contents.tags))
            for name, file in contents.files.items():
                artifact.add_file(str(file), name)
            run.log_artifact(artifact)
            for model in contents.models:
                weights = trackio.Artifact(f"model-{self.export}", "model", metadata=dict(contents.tags))
                weights.add_file(str(model))
                run.log_artifact(weights)

    def told(self) -> str:
        """The folder, and the command that shows it."""
        where = self.destination.where
        return f"{where} (TRACKIO_DIR={where} trackio show --project {self.destination.project})"
