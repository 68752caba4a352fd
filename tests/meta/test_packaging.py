"""What is installed: everything that is needed, and nothing else."""

from __future__ import annotations

import email
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import hatchling.build
import pytest

ROOT = Path(__file__).parents[2]
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, as ``pip install .`` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return zipfile.ZipFile(folder / hatchling.build.build_wheel(str(folder)))


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def message(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_string(metadata(wheel, "METADATA"))


def test_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    shipped = {n for n in wheel.namelist() if ".dist-info/" not in n}
    sources = {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src" / "flightcheck").rglob("*.py")}
    page = {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src/flightcheck/report/page/assets").iterdir()}
    assert "flightcheck/report/page/assets/page.css" in page
    native = "flightcheck/adapters/torch/native"
    built = {f"{native}/_kernel.so"} if COMPILER else set()
    texts = {"flightcheck/py.typed", "flightcheck/checks/index.json"}
    assert shipped == sources | page | texts | {f"{native}/kernel.cpp"} | built


def test_its_name_says_where_it_runs(wheel: zipfile.ZipFile) -> None:
    assert ("-py3-none-any" in str(wheel.filename)) == (COMPILER is None)


def test_without_a_compiler_it_is_built_without_the_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    assert build.compile_library(tmp_path / "k.so") == "no C++ compiler was found"
    monkeypatch.setenv("CXX", "false")
    assert "failed" in build.compile_library(tmp_path / "k.so")
    assert not (tmp_path / "k.so").exists()


def test_license(wheel: zipfile.ZipFile) -> None:
    text = message(wheel)
    assert (text["License-Expression"], text["License-File"]) == ("Apache-2.0", "LICENSE")
    license_text = metadata(wheel, "licenses/LICENSE")
    assert "Apache License" in license_text
    assert "END OF TERMS AND CONDITIONS" in license_text


def test_needs_numpy_scipy_and_rich_only(wheel: zipfile.ZipFile) -> None:
    needed = [r for r in message(wheel).get_all("Requires-Dist") or [] if "extra ==" not in r]
    assert [re.split(r"\W", r)[0] for r in needed] == ["numpy", "rich", "scipy"]


def test_the_command(wheel: zipfile.ZipFile) -> None:
    assert "flightcheck = flightcheck.cli.main:entry" in metadata(wheel, "entry_points.txt")


def test_the_installed_package_lists_and_explains_without_a_framework(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    program = """
import sys
sys.path.insert(0, sys.argv[1])
for name in ("torch", "scipy", "sklearn", "pytest", "jinja2"):
    sys.modules[name] = None  # importing it raises
import flightcheck
from flightcheck.cli.main import main
assert flightcheck.__file__.startswith(sys.argv[1]), flightcheck.__file__
sys.exit(main(["list"]) or main(["explain", "L03"]))
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "double-softmax" in done.stdout
    assert "Known false alarms" in done.stdout


def test_requirements_are_pinned_and_portable() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line)] == []
    pinned = {normalized(line.split("==")[0]) for line in lines}
    needed = {normalized(re.split(r"[^\w.-]", r)[0]) for r in PROJECT["dependencies"]}
    tools = {"torch", "scikit-learn", "scipy", "pytest", "pytest-timeout", "pytest-xdist", "ruff", "mypy", "hatchling"}
    assert pinned >= needed | tools | {"editables"}
    assert len(pinned) == len(lines)


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
