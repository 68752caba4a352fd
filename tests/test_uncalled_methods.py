"""Statements that name a method and do not call it."""

from __future__ import annotations

from pathlib import Path

from flightcheck.recording.provenance.uncalled import uncalled
from flightcheck.recording.records import Call, Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo
from flightcheck.recording.surroundings import UncalledMethod
from flightcheck.testing import run_of, verdict_of

SOURCE = """
model.train()
model.eval
self.net.train
optimizer.zero_grad
step = optimizer.step
for batch in loader: loss.backward
print(model.eval)
schedule.step()
model.weight
"""


def test_only_statements_without_a_call_are_named(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SOURCE)
    assert uncalled(str(script)) == [("eval", 3), ("train", 4), ("zero_grad", 5), ("backward", 7)]
    script.write_text("def broken(:")
    assert uncalled(str(script)) == []


def test_an_evaluation_mode_that_is_not_switched_on_is_c30s() -> None:
    line = Location("train.py", 30)
    records = [
        OptimizerInfo(0, "SGD", steps=20),
        RootInfo(0, "net", "Net"),
        ModuleInfo(0, "net", "Net", "container", 0),
        ModuleInfo(1, "net.drop", "Dropout", "dropout", 0),
        ParameterInfo(0, "weight", 0, [3, 3], "matrix", optimizers=[0]),
        Call(0, 0, "forward", 0, data={"grad": True, "training": True, "dropout": "train"}),
    ]
    assert verdict_of("C30", run_of(*records)).status == "pass"
    (finding,) = verdict_of("C30", run_of(*records, UncalledMethod("eval", line))).findings
    assert (finding.location, finding.patch) == (line, "mode:eval")
