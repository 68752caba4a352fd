"""What a trial found enters the report: with the names of the user's files, not of the trial's copies."""

from __future__ import annotations

from pathlib import Path

from flightcheck.lab.processes import Script, ScriptRunner
from flightcheck.lab.scratch import Scratch
from flightcheck.lab.trials import Trial
from flightcheck.recording.as_data import to_data
from flightcheck.recording.experiments import Probe, TrialInfo
from flightcheck.recording.records import Location, RunInfo
from flightcheck.recording.store import RunWriter


def test_lines_and_reasons_name_the_users_files(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    runner = ScriptRunner(Script("train.py", None, [], project), tmp_path / "trials")
    runner._scratch = Scratch(project)
    copy = runner._scratch.make()
    line = Location(str(copy / "train.py"), 30, "forward", "w = scores.softmax(-1)")
    writer = RunWriter(tmp_path / "trials" / "001")
    writer.put(Probe("leaks", {"future": 0.3, "at": to_data(line)}), 0)
    writer.put(TrialInfo(refused=f"it was about to write {copy.parent / 'out.pt'}"), 0)
    writer.put(RunInfo("t", "", "train.py", error=f"OSError: {copy / 'x'}", error_location=line), 0)
    writer.close()
    trained = runner._trained(Trial(), tmp_path / "trials" / "001", "ended", 1.0)
    runner.close()
    assert trained.run is not None
    assert Location(**trained.run.probe("leaks").result["at"]).file == str(project / "train.py")
    assert trained.run.info.error_location is not None
    assert trained.run.info.error_location.file == str(project / "train.py")
    assert trained.run.info.error == f"OSError: {project / 'x'}"
    assert trained.failure.endswith(str(tmp_path / "out.pt"))
