"""Weights & Biases: offline, read again by ``wandb sync`` and ``wandb beta leet``; or online."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Final

from flightcheck.errors import FlightcheckError
from flightcheck.exporters import base
from flightcheck.exporters.base import Contents, Heading, Param, Point

ONLINE: Final = "online"
_QUIET: Final = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
_STEP: Final = "step"
_LONGEST_TAG: Final = 64


class Exporter(base.Exporter):
    """One run of Weights & Biases."""

    package: ClassVar[str] = "wandb"
    extra: ClassVar[str] = "wandb"

    @classmethod
    def place(cls, where: str) -> str:
        """``online``, or the folder below which ``wandb/`` gets the offline run (the current one without a word)."""
        return ONLINE if where == ONLINE else base.folder_of(where, ".")

    def begin(self, heading: Heading, known: str, tried: bool) -> str:
        os.environ.update(_QUIET)
        # wandb keeps copies of files to be sent there; its own choice is the home folder.
        os.environ.setdefault("WANDB_DATA_DIR", str(self._place() / "wandb" / "data"))
        import wandb

        online = self.destination.where == ONLINE
        if online and not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
            raise FlightcheckError("wandb has no key; 'wandb login' stores one, or set WANDB_API_KEY")
        self._place().mkdir(parents=True, exist_ok=True)
        entity, _, project = self.destination.project.rpartition("/")
        self._run: Any = wandb.init(
            project=project, entity=entity or None, name=heading.id, id=self.export, resume="allow",
            mode="online" if online else "offline", dir=str(self._place()), config={}, reinit="create_new",
            settings=wandb.Settings(
                # What wandb would record by itself is of this process, which is not the training.
                console="off", disable_code=True, disable_git=True, save_code=False, silent=True, quiet=True,
                disable_job_creation=True, x_disable_meta=True, x_disable_stats=True, x_save_requirements=False,
            ),
        )  # fmt: skip
        # Points may come late or twice; wandb refuses rows whose own step falls, so ours is a column.
        self._run.define_metric(_STEP, hidden=True)
        self._run.define_metric("*", step_metric=_STEP)
        self._run.config.update({"command": heading.command, "script": heading.script}, allow_val_change=True)
        return self.export

    def _place(self) -> Path:
        return self.folder if self.destination.where == ONLINE else Path(self.destination.where)

    def describe(self, params: Mapping[str, Param]) -> None:
        self._run.config.update(dict(params), allow_val_change=True)

    def log(self, points: Sequence[Point]) -> None:
        for step, row in groupby(points, key=lambda p: p.step):
            there = list(row)
            self._run.log({_STEP: step, **{p.name: p.value for p in there}, "_timestamp": there[0].time})

    def finish(self, contents: Contents) -> None:
        import wandb

        self._run.notes = contents.text
        self._run.tags = tuple(label[:_LONGEST_TAG] for label in contents.labels)
        self._run.config.update({"data": [_data_of(s) for s in contents.data]}, allow_val_change=True)
        self._run.summary.update(dict(contents.tags))
        if "report.html" in contents.files:
            self._run.log({"report": wandb.Html(contents.files["report.html"].read_text("utf-8"), inject=False)})
        artifact = wandb.Artifact(f"flightcheck-{self.export}", "flightcheck", metadata=dict(contents.tags))
        for name, file in contents.files.items():
            artifact.add_file(str(file), name)
        self._run.log_artifact(artifact)
        for file in contents.models:
            model = wandb.Artifact(f"model-{self.export}", "model", metadata=dict(contents.tags))
            model.add_file(str(file))
            self._run.log_artifact(model)
        self._run.finish(exit_code=0 if contents.ended in ("finished", "stopped", "exit") else 1)

    def told(self) -> str:
        """The page of the run, or the folder that ``wandb sync`` takes."""
        if self.destination.where == ONLINE:
            return str(self._run.url)
        return f"{Path(self._run.dir).parent} ('wandb sync' sends it)"

    def close(self) -> None:
        self._run.finish(exit_code=1)


def _data_of(source: base.DataSource) -> dict[str, Any]:
    return {
        "name": source.name, "digest": source.digest, "role": source.role, "examples": source.examples,
        "classes": json.dumps(dict(source.classes)),
    }  # fmt: skip
