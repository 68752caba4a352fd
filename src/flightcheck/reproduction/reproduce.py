"""From a recorded run to a verdict: rebuild its code, compare its surroundings, run it again, judge its curve."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from flightcheck.checks.registry import run_checks
from flightcheck.checks.tracking._data import known_parts, why_unknown
from flightcheck.diagnosis.engine import diagnose
from flightcheck.errors import RunFileError
from flightcheck.frozen import frozen
from flightcheck.recording.run import Run
from flightcheck.recording.starting_point import Invocation
from flightcheck.recording.surroundings import SourceFile
from flightcheck.reproduction import surroundings
from flightcheck.reproduction.curves import FEWEST, Curve, Noise, curves, noise
from flightcheck.reproduction.rebuild import Rebuilt, rebuild, tidy
from flightcheck.reproduction.rerun import Ended, run_again, steps_of
from flightcheck.reproduction.workplace import Workplace
from flightcheck.tracking.compare import Recorded, compare
from flightcheck.tracking.summary import write_labels, write_summary

SCHEMA: Final = "flightcheck.reproduction/1"
REPEATS: Final = 3
"""Further runs, with other random numbers, by which noise is judged: with the first one 4, so that t is 4.2."""
_TAG: Final = "reproduction"

Verdict = Literal["same", "within-noise", "different", "could-not"]


@frozen
class Request:
    """What is to be repeated, and how."""

    run: Run
    folder: Path
    """Of the new run."""
    arguments: list[str] | None = None
    """In the place of the recorded ones."""
    cwd: Path | None = None
    """A folder to be copied in the place of the one in which the script was started."""
    steps: int | None = None
    """Compare so many steps only."""
    repeats: int = REPEATS
    writable: list[Path] = field(default_factory=list)


@dataclass
class Part:
    """One side of a run: what of it is the same, and what differs."""

    name: str
    same: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


@dataclass
class Reproduction:
    """The answer."""

    run: str
    verdict: Verdict = "could-not"
    reason: str = ""
    again: Path | None = None
    """The folder of the new run, if one was recorded."""
    parts: list[Part] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    noise: list[Noise] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """What may explain that the bits are not the same, the surest first."""
    last_lines: list[str] = field(default_factory=list)
    """Of what the script printed, where it failed."""


Say = Callable[[str], None]


def reproduce(
    request: Request, say: Say = lambda text: None, told: Callable[[Part], None] = lambda part: None
) -> Reproduction:
    """Repeat a recorded run and judge it. Nothing of the user's is written but the folder of the new run.

    Args:
        request: what, and how.
        say: told what is being done.
        told: given each part as soon as it is known.
    """
    result = Reproduction(request.run.info.id)
    started = next(iter(request.run.recorded(Invocation)), None)
    result.reason = _impossible(request.run, started, request.arguments)
    if result.reason or started is None:
        return result
    recorded = Path(started.folder)
    source = (request.cwd or recorded).absolute()
    place = Workplace(recorded, source)
    try:
        _Repetition(request, result, started, place, source, say, told).make()
    finally:
        place.close()
    return result


def _impossible(run: Run, started: Invocation | None, arguments: list[str] | None) -> str:
    """Why a run cannot be repeated at all; empty if it can."""
    if started is None:
        return ("how it was started is not recorded: it was watched from code by flightcheck.watch(), or by an older "
                "version; 'flightcheck run SCRIPT' records it")  # fmt: skip
    if run.info.ranks > 1:
        return f"it was trained by {run.info.ranks} processes together; only trainings of one process are repeated"
    if run.info.mode == "trial":
        return "it is a trial of another run"
    if started.hidden and arguments is None:
        hidden = shlex.join(started.arguments)
        return f"an argument held what looks like a secret and was not recorded ({hidden}); give all: RUN -- ARGUMENTS"
    if "loss" not in run.frames:
        return "no loss was recorded, so there is no curve to compare"
    return ""


@dataclass
class _Repetition:
    """What is needed to run it again, and again."""

    request: Request
    result: Reproduction
    started: Invocation
    place: Workplace
    source: Path
    """The folder of which `place` is a copy."""
    say: Say
    told: Callable[[Part], None]

    def make(self) -> None:
        """Fill the result."""
        run, code = self.request.run, self._rebuilt()
        if not self.source.is_dir():
            code.differences.insert(
                0,
                f"{self.source}: the folder in which the script was started is gone; files that it reads by a relative "
                "path are not found (--cwd names another folder)",
            )
        self._tell(Part("Code", code.told, code.differences))
        self._tell(Part("Environment", *surroundings.before(run)))
        self._tell(Part("Random numbers", surroundings.random_numbers(run)))
        self.say(f"running it again (the original took {run.info.seconds:.0f} s)")
        ended = self._once(self.request.folder, 0)
        again = _opened(ended, self.result)
        if again is None:
            return
        self.result.again = self.request.folder
        _label(again, run)
        _rename_sources(again, self.place, self.started)
        for part in _after(run, again):
            self._tell(part)
        self.result.curves = curves(run, again)
        if _comparable(self.request, self.result, again, ended):
            self._judge(again)

    def _rebuilt(self) -> Rebuilt:
        code = rebuild(self.request.run, self.started, self.place, [self.source, Path.cwd()])
        tidy(self.request.run, self.place, self.source, code)
        return code

    def _tell(self, part: Part) -> None:
        self.result.parts.append(part)
        self.told(part)

    def _once(self, folder: Path, seed: int) -> Ended:
        arguments = self.started.arguments if self.request.arguments is None else self.request.arguments
        return run_again(
            self.request.run, self.started, self.place, folder, seed=seed, arguments=arguments,
            steps=steps_of(self.request.run, self.request.steps), writable=self.request.writable,
        )  # fmt: skip

    def _judge(self, again: Run) -> None:
        result, run = self.result, self.request.run
        if all(c.same for c in result.curves):
            result.verdict = "same"
            return
        result.reasons = _reasons(result, run, again)
        result.verdict = "different"
        if not self.request.repeats:
            result.reason = "whether it is noise was not asked"
            return
        repetitions = [again]
        for number in range(1, self.request.repeats + 1):
            self.say(f"other bits; run {number} of {self.request.repeats} with other random numbers, to know the noise")
            self.place.renew()
            self._rebuilt()
            other = self._once(self.request.folder / "repetitions" / f"{number:03d}", number)
            with suppress(RunFileError):
                repetitions += [r] if not other.failure and (r := Run.open(other.folder)).info.steps else []
        _judge_noise(result, run, repetitions)


def _opened(ended: Ended, result: Reproduction) -> Run | None:
    result.last_lines = ended.last_lines
    if ended.refused:
        result.reason = (f"the script was stopped to protect your files: {ended.refused} (--writable FOLDER allows it "
                         "to write there)")  # fmt: skip
        return None
    try:
        return Run.open(ended.folder)
    except RunFileError as e:
        result.reason = f"the repetition recorded nothing: {ended.failure or e}"
        return None


def _comparable(request: Request, result: Reproduction, again: Run, ended: Ended) -> bool:
    """There are two curves of the same length; else the reason is noted."""
    run, info = request.run, again.info
    steps = steps_of(run, request.steps)
    wanted = min(filter(None, (steps, run.info.steps, request.steps)), default=run.info.steps)
    if ended.failure:
        result.reason = f"the repetition did not come to its end: {ended.failure}"
    elif info.ended == "exception" and run.info.ended != "exception":
        where = f" at {info.error_location}" if info.error_location is not None else ""
        result.reason = f"the repetition failed after {info.steps} of {wanted} steps: {info.error}{where}"
    elif not result.curves or result.curves[0].name != "training loss":
        result.reason = "the two runs have no step in common at which both recorded the loss"
    elif info.steps < wanted and run.info.steps:
        result.reason = f"the repetition ended after {info.steps} of {wanted} steps ({info.ended})"
    elif steps is None and run.info.steps != info.steps:
        result.verdict, result.reason = "different", f"it made {info.steps} steps in the place of {run.info.steps}"
        result.reasons = _reasons(result, run, again)
        return False
    if result.reason and result.curves and all(c.same for c in result.curves):
        result.reason += "; as far as it came the curve is the same, bit for bit"
    if not result.reason:
        result.last_lines = []
    return not result.reason


def _label(again: Run, run: Run) -> None:
    """Make the new run one that is found: with a summary, a tag, and whose repetition it is."""
    write_summary(again, diagnose(again, run_checks(again)))
    if again.path is not None:
        with suppress(RunFileError):
            write_labels(again.path, {"tags": [_TAG], "note": f"repeats {run.info.id}"})


def _rename_sources(again: Run, place: Workplace, started: Invocation) -> None:
    """Files outside of the script's folder are known by where the original had them."""
    moved = place.moved() | ({} if started.script else {str(place.folder): started.folder})
    back = {copy: original for original, copy in moved.items()}
    files: list[SourceFile] = again.recorded(SourceFile)
    for i, file in enumerate(files):
        for copy, original in back.items():
            if file.path.startswith(copy + "/"):
                files[i] = replace(file, path=original + file.path[len(copy) :])
                break


def _after(run: Run, again: Run) -> list[Part]:
    """What is known only when the script has run: its data, and the values that were in effect."""
    compared = compare([Recorded(n, r, diagnose(r, [])) for n, r in (("A", run), ("B", again))])
    by_kind: dict[str, list[str]] = {}
    for d in compared.differences:
        values = " → ".join(d.values) if not d.sentence else d.sentence
        by_kind.setdefault(d.kind, []).append(f"{d.name} {values}".strip())
    parts = []
    if "code" in by_kind:
        parts.append(Part("Code that ran", [], by_kind["code"]))
    same, differences = surroundings.after(run, again)
    arithmetic = by_kind.get("arithmetic", [])
    parts.append(Part("Machine", same + ([] if arithmetic else ["device, precision and switches"]),
                      differences + arithmetic))  # fmt: skip
    parts.append(_data(run, again, by_kind.get("data", [])))
    seeds = surroundings.moving_seeds(run, again)
    if seeds:
        parts.append(Part("Seeds", [], seeds))
    if "value" in by_kind:
        parts.append(Part("Values in effect", [], by_kind["value"]))
    return parts


def _data(run: Run, again: Run, differences: list[str]) -> Part:
    known = known_parts(run).keys() & known_parts(again).keys()
    told = [f"the same digest of the {role} data" for role in sorted(known, reverse=True)] if not differences else []
    if "training" not in known:
        told.append(f"no digest of the training data: {why_unknown(run)}")
    return Part("Data", told, differences)


def _reasons(result: Reproduction, run: Run, again: Run) -> list[str]:
    """What may explain other bits: all that differs, and random numbers that nobody recorded."""
    found = [d for part in result.parts for d in part.differences]
    if found:
        return found
    order = surroundings.hash_order(run)
    moving = surroundings.unseeded(run)
    return [
        *([f"{', '.join(moving)} without a seed"] if moving else []), *([order] if order else []),
        "nothing that is recorded differs: the rest is random numbers from elsewhere (the clock, the operating system, "
        "a generator of the script's own), other threads, or operations that are not deterministic",
    ]  # fmt: skip


def _judge_noise(result: Reproduction, run: Run, repetitions: Sequence[Run]) -> None:
    if len(repetitions) < FEWEST:
        result.reason = f"only {len(repetitions)} repetitions came to an end; {FEWEST} are needed to know the noise"
        return
    result.noise = noise(run, repetitions)
    if not result.noise:
        result.reason = "the curves have no finite number by which noise could be judged"
    elif all(n.within for n in result.noise):
        result.verdict = "within-noise"


def reproduction_json(result: Reproduction) -> dict[str, Any]:
    """The answer as JSON values."""
    return {
        "schema": SCHEMA,
        "run": result.run,
        "verdict": result.verdict,
        "reason": result.reason,
        "repetition": str(result.again) if result.again is not None else None,
        "parts": [vars(p) for p in result.parts],
        "curves": [vars(c) | {"same": c.same} for c in result.curves],
        "noise": [vars(n) | {"within": n.within} for n in result.noise],
        "may_explain_it": result.reasons,
        "last_lines": result.last_lines,
    }
