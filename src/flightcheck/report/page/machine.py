"""What the training used of its machine: processors and memory, as a small table."""

from __future__ import annotations

from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.system_use import SYSTEM
from flightcheck.recording.tables import median
from flightcheck.report.page.markup import Child, Html, element, number, table
from flightcheck.report.page.series import Curve


def use_curves(run: Run) -> list[Curve]:
    """What was recorded of it, under the names that are shown."""
    found = []
    for signal, name in SYSTEM.items():
        try:
            series = run.series(signal)
        except NotEnoughEvidence:
            continue
        found.append(Curve(name, series.steps.tolist(), series.values.tolist()))
    return found


def machine(run: Run) -> Html | None:
    """A part of the page; None where nothing was recorded."""
    curves, told = use_curves(run), run.system_use
    if not curves or told is None:
        return None
    peaks = {"Memory (MiB)": told.memory_peak, "GPU memory (MiB)": told.gpu_memory_peak}
    rows: list[list[Child]] = []
    for c in curves:
        highest = peaks.get(c.name)
        most = max(c.values) if highest is None else highest
        rows.append([c.name, *map(_told, (median(c.values), most, c.values[-1])), str(len(c.steps))])
    sentence = (
        f"{told.cpu_seconds:,.0f} s of processor time, of the training's process and those that it started; "
        f"{told.cores} processors were there. Memory is that of its own process, the highest also between two looks."
    )
    return element(
        "section",
        element("h2", "Use of the machine", id="machine"),
        element("p", sentence),
        table(["", "Median", "Highest", "Last", "Looks"], rows, caption="Use of the machine", class_="numbers"),
    )


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else number(value)
