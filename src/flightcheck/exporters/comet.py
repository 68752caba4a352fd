"""Comet: an offline archive, which ``comet upload`` sends; or online."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from flightcheck.errors import FlightcheckError
from flightcheck.exporters import base
from flightcheck.exporters.base import Contents, Heading, Param, Point

ONLINE: Final = "online"
_QUIET: Final = {
    "COMET_DISABLE_AUTO_LOGGING": "1", "COMET_INTERNAL_REPORTING": "false", "COMET_INTERNAL_SENTRY_DSN": "",
    "COMET_LOGGING_CONSOLE": "ERROR",
}  # fmt: skip


class Exporter(base.Exporter):
    """One experiment of Comet."""

    package: ClassVar[str] = "comet_ml"
    extra: ClassVar[str] = "comet"

    @property
    def live(self) -> bool:
        """The archive of an offline experiment is written when it ends, and holds nothing before."""
        return self.destination.where == ONLINE

    @classmethod
    def place(cls, where: str) -> str:
        """``online``, or the folder of the archive (``comet/`` without a word)."""
        return ONLINE if where == ONLINE else base.folder_of(where, "comet")

    def begin(self, heading: Heading, known: str, tried: bool) -> str:
        os.environ.update(_QUIET)
        import comet_ml

        workspace, _, project = self.destination.project.rpartition("/")
        options: dict[str, Any] = {
            "project_name": project,
            "workspace": workspace or None,
            "experiment_key": known or hashlib.sha256(self.export.encode()).hexdigest()[:32],
            "display_summary_level": 0,
            # What Comet would record by itself is of this process, which is not the training.
            "log_code": False, "log_graph": False, "auto_param_logging": False, "auto_metric_logging": False,
            "parse_args": False, "auto_output_logging": False, "log_env_details": False, "log_git_metadata": False,
            "log_git_patch": False,
        }  # fmt: skip
        if self.live:
            if not comet_ml.get_config("comet.api_key"):
                raise FlightcheckError("Comet has no key; 'comet login' stores one, or set COMET_API_KEY")
            if known:
                options["previous_experiment"] = options.pop("experiment_key")
            made = comet_ml.ExistingExperiment if known else comet_ml.Experiment
            self._experiment: Any = made(**options)
        else:
            Path(self.destination.where).mkdir(parents=True, exist_ok=True)
            # Comet writes an archive for a failed try, too: only the whole one comes to where it is looked for.
            self._drafts = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.destination.where))
            self._experiment = comet_ml.OfflineExperiment(offline_directory=str(self._drafts), **options)
        self._experiment.set_name(heading.id)
        self._experiment.set_filename(heading.script)
        self._experiment.log_other("command", heading.command)
        return str(self._experiment.get_key())

    def describe(self, params: Mapping[str, Param]) -> None:
        self._experiment.log_parameters(dict(params))

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            self._experiment.log_metric(point.name, point.value, step=point.step)

    def finish(self, contents: Contents) -> None:
        experiment = self._experiment
        experiment.log_others(dict(contents.tags))
        experiment.log_other("notes", contents.text)
        experiment.add_tags(list(contents.labels))
        for source in contents.data:
            experiment.log_dataset_info(source.name, source.digest)
            experiment.log_other(f"data.{source.role}", f"{source.name} {source.digest}")
        if contents.code:
            experiment.set_code(contents.code, overwrite=True)
        if "report.html" in contents.files:
            experiment.log_html(contents.files["report.html"].read_text("utf-8"))
        for name, file in contents.files.items():
            experiment.log_asset(str(file), name, overwrite=True)
        for model in contents.models:
            experiment.log_model(self.destination.project, str(model), overwrite=True)
        experiment.end()
        if not self.live:
            (self._drafts / self._archive().name).replace(self._archive())
            self._drafts.rmdir()

    def told(self) -> str:
        """The page of the experiment, or the archive that ``comet upload`` takes."""
        if self.live:
            return str(self._experiment.url)
        return f"{self._archive()} ('comet upload' sends it)"

    def _archive(self) -> Path:
        return Path(self.destination.where, f"{self._experiment.get_key()}.zip")

    def close(self) -> None:
        if not self.live and self._drafts.exists():
            self._experiment.end()
            shutil.rmtree(self._drafts, ignore_errors=True)
