"""On a GPU: the same bits, the same causes. Needs one; a CPU runs the same checks in the other tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.harmless.processes import plain, watched

TEXT = Path(__file__).with_name("training.py").read_text(encoding="utf-8")
WRONG = {
    "softmax": "out = out.softmax(1)",
    "zero": "scaler.scale(loss).backward()",
    "rate": "lr=5.0",
    "detach": "h = h.detach()",
    "nan": "scaler.scale(loss).backward()",
    "clip": "nn.utils.clip_grad_norm_",
    "mode": "losses = [F.cross_entropy",
}
CODES = {"softmax": "L03", "zero": "P12", "rate": "P01", "detach": "C02", "nan": "C14", "clip": "P18", "mode": "C30"}
DETERMINISTIC = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    pytest.mark.timeout(600),
]


def script(folder: Path, fault: str) -> str:
    assert '"none"' in TEXT
    (folder / "train.py").write_text(TEXT.replace('"none"', f'"{fault}"'), encoding="utf-8")
    return "train.py"


@pytest.mark.parametrize("fault", ["none", "amp", *WRONG])
def test_the_same_bits(tmp_path: Path, fault: str) -> None:
    name = script(tmp_path, fault)
    without = plain(tmp_path, name, **DETERMINISTIC)
    assert without.code == 0, without.err
    assert watched(tmp_path, "run", "--quiet", "--fail-on", "never", name, **DETERMINISTIC).out == without.out


@pytest.mark.parametrize("fault", ["none", "amp"])
def test_silence(tmp_path: Path, fault: str) -> None:
    done = watched(tmp_path, "check", "--fail-on", "warn", script(tmp_path, fault), **DETERMINISTIC)
    assert done.code == 0, done.err


@pytest.mark.parametrize("fault", WRONG)
def test_the_cause_its_line_and_its_fix(tmp_path: Path, fault: str) -> None:
    watched(tmp_path, "check", "--json", "report.json", script(tmp_path, fault), **DETERMINISTIC)
    (first, *_) = json.loads((tmp_path / "report.json").read_text())["findings"]
    assert first["code"] == CODES[fault]
    assert WRONG[fault] in TEXT.splitlines()[first["location"]["line"] - 1]
    # What eval() brings to these evaluations is as large as their noise.
    assert first["fix"]["trial"] in (("confirmed", "inconclusive") if fault == "mode" else ("confirmed",))
