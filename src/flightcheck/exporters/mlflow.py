"""MLflow: a tracking server, or a database."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from flightcheck.errors import UsageError
from flightcheck.exporters import base
from flightcheck.exporters.base import Contents, Heading, Param, Point

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_MOST_PARAMS: Final = 100
_LONGEST_PARAM: Final = 6000
_LONGEST_TAG: Final = 5000
_STATUS: Final = {"finished": "FINISHED", "stopped": "FINISHED", "exit": "FINISHED", "exception": "FAILED"}
"""Words of MLflow for how a run ended; a run that was killed or interrupted is KILLED."""
_QUIET: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # we try again ourselves, and tell why
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_ALLOWED: Final = re.compile(r"[^\w\-. :/]")


class Exporter(base.Exporter):
    """One run in MLflow."""

    package: ClassVar[str] = "mlflow"
    extra: ClassVar[str] = "mlflow"

    @classmethod
    def place(cls, where: str) -> str:
        """An address such as ``http://server:5000`` or ``sqlite:///mlflow.db``; else that of MLFLOW_TRACKING_URI."""
        uri = where or os.environ.get("MLFLOW_TRACKING_URI", "")
        if not uri:
            raise UsageError(
                "--to mlflow: say where: --to mlflow=http://SERVER:5000 or --to mlflow=sqlite:///mlflow.db, or set "
                "MLFLOW_TRACKING_URI"
            )
        if "://" not in uri and uri != "databricks":
            raise UsageError(f"--to mlflow={uri}: no address; those of MLflow begin with http:// or sqlite:///, say")
        if uri.startswith("sqlite:///"):
            return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).absolute()}"
        return uri.rstrip("/")

    def begin(self, heading: Heading, known: str, tried: bool) -> str:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        from mlflow.tracking import MlflowClient

        self._client: MlflowClient = MlflowClient(self.destination.where, self.destination.where)
        self._sent: dict[str, str] = {}
        self._experiment = self._experiment_id()
        if not known and tried:
            known = self._made_before()
        if known:
            self._run = known
            self._sent = dict(self._client.get_run(known).data.params)
            return known
        tags = {
            "flightcheck.export": self.export,
            "flightcheck.run": heading.id,
            "mlflow.source.name": heading.script,
            "mlflow.source.type": "LOCAL",
        }
        made = self._client.create_run(self._experiment, int(heading.started * 1000), tags, heading.id)
        self._run = str(made.info.run_id)
        return self._run

    def _experiment_id(self) -> str:
        name = self.destination.project
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except Exception:  # another process made it just now
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            raise UsageError(
                f"the MLflow experiment {name!r} was deleted; restore it, or choose another with --project"
            )
        return str(found.experiment_id)

    def _made_before(self) -> str:
        """The run that an earlier try has made without learning of it."""
        found = self._client.search_runs([self._experiment], f"tags.`flightcheck.export` = '{self.export}'")
        return str(found[0].info.run_id) if found else ""

    def describe(self, params: Mapping[str, Param]) -> None:
        """A parameter of MLflow never changes: what has another value at the end gets a tag with it."""
        from mlflow.entities import Param as MlflowParam

        fresh = []
        for name, value in params.items():
            key, text = _ALLOWED.sub("_", name), f"{value:.6g}" if isinstance(value, float) else str(value)
            text = text[:_LONGEST_PARAM]
            if key not in self._sent:
                fresh.append(MlflowParam(key, text))
            elif self._sent[key] != text:
                self._client.set_tag(self._run, f"flightcheck.final.{key}", text[:_LONGEST_TAG])
        for start in range(0, len(fresh), _MOST_PARAMS):
            batch = fresh[start : start + _MOST_PARAMS]
            self._client.log_batch(self._run, params=batch)
            self._sent |= {p.key: p.value for p in batch}

    def log(self, points: Sequence[Point]) -> None:
        """The same point with the same time is kept once by MLflow, however often it comes."""
        from mlflow.entities import Metric

        metrics = [Metric(p.name, p.value, int(p.time * 1000), p.step) for p in points]
        self._client.log_batch(self._run, metrics=metrics)

    def finish(self, contents: Contents) -> None:
        tags = {**contents.tags, "mlflow.note.content": contents.text}
        if commit := contents.tags.get("flightcheck.commit"):
            tags["mlflow.source.git.commit"] = commit
        if contents.labels:
            tags["flightcheck.labels"] = " ".join(contents.labels)
        self._tag(tags)
        self._log_data(contents)
        for name, file in contents.files.items():
            self._client.log_artifact(self._run, str(file), str(Path(name).parent) if "/" in name else None)
        self._register(contents.models)
        status = _STATUS.get(contents.ended, "KILLED")
        self._client.set_terminated(self._run, status, int(contents.end * 1000))

    def _tag(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        named = [RunTag(_ALLOWED.sub("_", name), text[:_LONGEST_TAG]) for name, text in tags.items()]
        for start in range(0, len(named), _MOST_PARAMS):
            self._client.log_batch(self._run, tags=named[start : start + _MOST_PARAMS])

    def _log_data(self, contents: Contents) -> None:
        """The dataset inputs of the run. MLflow finds runs by name and digest of their data."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs: list[Any] = []
        for source in contents.data:
            profile = json.dumps({"num_rows": source.examples, "classes": dict(source.classes)})
            dataset = Dataset(source.name, source.digest, "code", json.dumps({"tags": {}}), profile=profile)
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", source.role)]))
        if inputs:
            self._client.log_inputs(self._run, inputs)

    def _register(self, models: Sequence[Path]) -> None:
        """Send the files of weights, and register the last one as a version of the project's model."""
        for file in models:
            self._client.log_artifact(self._run, str(file), "models")
        if not models or self._client.search_model_versions(f"run_id = '{self._run}'"):
            return
        name = _ALLOWED.sub("_", self.destination.project).replace("/", "_").replace(":", "_")
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name)
        source = f"{self._client.get_run(self._run).info.artifact_uri}/models/{models[-1].name}"
        self._client.create_model_version(name, source, self._run, tags={"flightcheck.export": self.export})

    def told(self) -> str:
        """The page of the run; of a database, its address."""
        where = self.destination.where
        if where.startswith("http"):
            return f"{where}/#/experiments/{self._experiment}/runs/{self._run}"
        return f"{where}, run {self._run}"
