"""Records whose module is imported after the run was read: a check of its own brings its kind along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import flightcheck
from flightcheck.recording.evaluated_labels import EvaluatedLabels
from flightcheck.recording.store import RunWriter

READS = """
import sys
from pathlib import Path
from flightcheck.recording.run import Run
assert "flightcheck.recording.evaluated_labels" not in sys.modules
run = Run.open(Path(sys.argv[1]))
assert "EvaluatedLabels" in run.unread
from flightcheck.recording.evaluated_labels import EvaluatedLabels
print([e.counts for e in run.recorded(EvaluatedLabels)], run.damage, list(run.unread))
"""


def test_a_kind_that_is_imported_later_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run")
    writer.put(EvaluatedLabels(-1, None, 3, [4, 5]), 0)
    writer.close()
    done = subprocess.run([sys.executable, "-c", READS, str(tmp_path / "run")], capture_output=True, text=True)
    assert done.stdout.strip() == "[[4, 5]] [] []", done.stderr
    assert flightcheck.Run.open(tmp_path / "run").unread == {}
