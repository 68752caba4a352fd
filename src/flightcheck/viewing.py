"""``flightcheck.view(model, batch)``, and ``flightcheck view train.py``: wires the views, their page and a training."""

from __future__ import annotations

import html
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flightcheck.errors import FlightcheckError, UsageError
from flightcheck.frozen import frozen
from flightcheck.options import SessionResult, WatchOptions

if TYPE_CHECKING:
    from flightcheck.adapters.torch import TorchObserver
    from flightcheck.views.frames import Frames, Views

VIEW_PAGE: Final = "view.html"
"""In a run's folder."""
_SNAPSHOTS: Final = 8


@frozen
class View:
    """What was seen of a model. In a notebook it shows itself as a page."""

    views: Views
    """All of it as NumPy arrays."""
    source: str = ""
    """The script, where there is one."""

    def save(self, file: Path | str) -> Path:
        """Write the page: one HTML file that loads nothing.

        Raises:
            UsageError: the file cannot be written.
        """
        path = Path(file)
        try:
            path.write_text(self.page(), encoding="utf-8", errors="replace")
        except OSError as e:
            raise UsageError(f"{path}: cannot be written ({e.strerror}); choose another place") from e
        return path

    def page(self) -> str:
        """The page as text."""
        from flightcheck.adapters.torch.training import untouched

        with untouched():  # importing rich draws random numbers
            from flightcheck.report.view.document import page

            return page(self.views, self.source)

    def print_layers(self) -> None:
        """Print the table of layers to stdout."""
        from flightcheck.adapters.torch.training import untouched

        with untouched():
            from flightcheck.report.console import console_for
            from flightcheck.report.view.terminal import print_layers

            print_layers(self.views.structure, console_for(sys.stdout))

    def _repr_html_(self) -> str:
        """The page in a frame of its own: its styles and names do not meet those of the notebook."""
        title = html.escape(f"Views of {self.views.name}")
        return (
            f'<iframe srcdoc="{html.escape(self.page())}" sandbox="allow-scripts" title="{title}" '
            'style="width: 100%; height: 50rem; border: 1px solid #8888; border-radius: 6px"></iframe>'
        )

    def __repr__(self) -> str:
        steps = [s.step for s in self.views.snapshots]
        layers = len(self.views.structure.leaves())
        return f"View({self.views.name}, {layers} layers, snapshots after {steps} steps; .save(FILE) writes the page)"


class Film:
    """Snapshots of a model in a training loop of one's own; the model stays as it is, bit for bit.

    ::

        film = flightcheck.Film(model, inputs)
        for step, (inputs, targets) in enumerate(loader):
            if step in (0, 1, 10, 100):
                film.take(step)
            ...
        film.view().save("film.html")
    """

    def __init__(self, model: Any, batch: Any, labels: Any = None, *, example: int = 0, batch_axis: int = 0) -> None:
        """See `view` for the arguments and for what is raised."""
        self._frames = _frames(model, batch, labels, example, batch_axis)

    def take(self, step: int) -> None:
        """Look at the model as it is now.

        Args:
            step: how many steps it has been trained, for the slider; growing from call to call.

        Raises:
            UsageError: the model cannot be copied. What it raises itself passes through.
        """
        self._frames.take(step)

    def view(self) -> View:
        """What was seen; what shows one moment shows the model as it is now.

        Raises:
            UsageError: no snapshot was taken.
        """
        return View(self._frames.views())


def view(model: Any, batch: Any, labels: Any = None, *, example: int = 0, batch_axis: int = 0) -> View:
    """Look inside a model: layers, activations, filters, attention, gradients, and what its answer rests on.

    Everything is computed on a copy of the model in evaluation mode. Parameters, buffers, gradients, training mode,
    hooks and random generators are afterwards what they were, bit for bit. Of a larger batch the first 64 examples
    are used.

    Args:
        model: a ``torch.nn.Module``.
        batch: what the model is called with: a tensor of shape (examples, …), a tuple or list of positional arguments,
            or a dictionary of keyword arguments. The first tensor is what is explained.
        labels: whole numbers of shape (examples,), which colour the embedding; None for none.
        example: which one is drawn, counted from 0.
        batch_axis: of the examples in every tensor. Where the first recurrent or attention layer says by its
            ``batch_first`` that they lie along the second axis, that is found.

    Raises:
        UsageError: the model is none, cannot be copied, or the batch holds no such example. What the model itself
            raises passes through.
    """
    frames = _frames(model, batch, labels, example, batch_axis)
    frames.take(0)
    return View(frames.views())


def _frames(model: Any, batch: Any, labels: Any, example: int, axis: int) -> Frames:
    from flightcheck.adapters.torch.training import untouched

    with untouched():  # what is imported may draw random numbers
        from flightcheck.views.batch import Batch, call_of
        from flightcheck.views.frames import Frames

        return Frames(model, Batch.of(*call_of(batch), axis, labels), example)


class Filming:
    """Films the model of a training that is watched for another purpose; its page lies beside the run's report."""

    def __init__(self, steps: int | None) -> None:
        """`steps`: after which the script is stopped; None: it runs to its own end."""
        from flightcheck.views.camera import Camera, moments, moments_without_end

        self._camera = Camera(moments(steps, _SNAPSHOTS) if steps is not None else moments_without_end(), 0)

    def attach(self, observer: TorchObserver) -> None:
        """Look on from now on."""
        self._camera.attach(observer)

    def save(self, folder: Path, source: str) -> str:
        """Write the page into the run's folder; says what it shows, or why there is none.

        Raises:
            UsageError: it cannot be written.
        """
        try:
            views = self._camera.developed()
        except FlightcheckError as e:
            return f"No views: {e}"
        path = View(views, source).save(folder / VIEW_PAGE)
        return f"Views: {summary(path, views)}"


def summary(path: Path, views: Views) -> str:
    """Where the page is, what it weighs, and what it shows."""
    from flightcheck.report.json import relative

    steps = ", ".join(str(s.step) for s in views.snapshots)
    size = path.stat().st_size / 1000
    return f"{relative(str(path))} ({size:,.0f} kB; snapshots after {steps} steps; looking took {views.seconds:.1f} s)"


def view_script(
    options: WatchOptions, snapshots: int, example: int, model: str
) -> tuple[SessionResult, View | None, str]:
    """Train a script for some steps under watch and film the model that it trains. Nothing is recorded.

    Args:
        options: the script; `options.steps` says when it is stopped.
        snapshots: how many to take on the way.
        example: of the first batch, counted from 0.
        model: class or name of the model; empty: the one with most parameters.

    Returns:
        How the script ended, what was seen, and where nothing was, the reason.
    """
    import tempfile

    from flightcheck.session import watch_into
    from flightcheck.views.camera import Camera, moments

    camera = Camera(moments(options.steps or 0, snapshots), example, model)
    with tempfile.TemporaryDirectory(prefix="flightcheck-") as folder:
        result = watch_into(Path(folder) / "run", options, camera.attach)
    try:
        seen = View(camera.developed(), options.script or options.module or "")
    except FlightcheckError as e:
        return result, None, str(e)
    return result, seen, ""
