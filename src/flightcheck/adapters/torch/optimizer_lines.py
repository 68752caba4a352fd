"""Lines of the source that decide what an optimizer does: its options, a rate set by hand, what is frozen before it."""

from __future__ import annotations

from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.recording import provenance
from flightcheck.recording.provenance.loop_counters import count_of_rate
from flightcheck.recording.records import Location


def settle(held: Held, lines: SourceLines, scheduled: bool, backward: Location | None) -> None:
    """Look these lines up, at the end of the watch.

    Args:
        held: the optimizer's record, which gets them.
        lines: makes locations of them.
        scheduled: a scheduler sets its learning rate.
        backward: line of the backward pass.
    """
    built = held.info.location
    held.lr_location = _argument(lines, built, "lr", 1) or held.lr_location
    held.decay_location = _argument(lines, built, "weight_decay", None)
    held.freeze_location = _place(lines, provenance.freezing(built.file, built.line)) if built is not None else None
    if not held.steps and backward is not None:
        held.condition_location = _place(lines, provenance.skipped_step(backward.file, backward.line))
    stepped = held.step_location
    found = provenance.rate_write(stepped.file) if stepped is not None and not scheduled else None
    held.lr_write_location = _place(lines, found)
    counted = count_of_rate(*found) if found is not None else None
    if counted is not None:
        held.lr_count_location, held.lr_count = lines.of(counted.file, counted.line), counted.counter


def _argument(lines: SourceLines, call: Location | None, keyword: str, position: int | None) -> Location | None:
    """The line at which the value of an optimizer's argument is written."""
    return _place(lines, provenance.argument_origin(call.file, call.line, keyword, position)) if call else None


def _place(lines: SourceLines, where: tuple[str, int] | None) -> Location | None:
    return lines.of(*where) if where is not None else None
