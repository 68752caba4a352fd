"""The layers as a graph, each with what it answers at every snapshot: data for the drawing."""

from __future__ import annotations

from typing import Any

import numpy as np

from flightcheck.report.page.markup import shortened
from flightcheck.report.view.pictures import Scale, laid_out, png
from flightcheck.report.view.terminal import name_of, shape_of
from flightcheck.views.activations import Cells
from flightcheck.views.frames import Views


def graph_data(views: Views) -> dict[str, Any]:
    """Layers, edges, and for each layer one picture with all snapshots one below the other.

    Returns:
        JSON values. ``layers`` have an ``index``; ``edges`` are pairs of them; ``steps`` are those of the snapshots. A
        picture is ``{"src", "width", "height", "limit", "signed"}``, its height that of one snapshot.
    """
    layers = views.structure.layers
    index = {x.path: i for i, x in enumerate(layers)}
    steps = [s.step for s in views.snapshots]
    rows = [
        {
            "index": i,
            "name": shortened(x.path.rpartition(".")[2] or x.type, 60),
            "path": shortened(name_of(x), 200),
            "type": shortened(x.type, 60),
            "shape": shape_of(x),
            "parent": index.get(x.parent) if x.parent is not None else None,
            "leaf": not x.inside,
            "parameters": x.parameters,
            "macs": x.macs,
            "sees": x.receptive_field,
            "calls": x.calls,
            "settings": x.settings,
            "answers": _film([s.activations.get(x.path) for s in views.snapshots]),
            "filters": _film([s.filters.get(x.path) for s in views.snapshots]),
            "gradient": _numbers([s.gradients.get(x.path) for s in views.snapshots]),
            "trained": _numbers([s.trained.get(x.path) for s in views.snapshots]),
        }
        for i, x in enumerate(layers)
    ]
    edges = [(index[a], index[b]) for a, b in views.structure.edges]
    return {"steps": steps, "layers": rows, "edges": edges, "points": _points(views), "scores": _scores(views)}


def _film(frames: list[Cells | None]) -> dict[str, Any] | None:
    """All snapshots of one layer as one picture, one below the other, with one scale."""
    there = [f for f in frames if f is not None]
    if not there or any(f is None or f.shape != there[0].shape for f in frames):
        return None
    scale = Scale.of(there)
    sheets = [laid_out(f) for f in there]
    height, width = sheets[0].shape
    return {
        "src": png(np.concatenate(sheets), scale), "width": width, "height": height,
        "limit": scale.limit, "signed": scale.signed,
    }  # fmt: skip


def _numbers(values: list[float | None]) -> list[float | None] | None:
    if all(v is None for v in values):
        return None
    return [float(f"{v:.4g}") if v is not None and np.isfinite(v) else None for v in values]


def _points(views: Views) -> list[list[list[float]]] | None:
    """Examples of the embedding at every snapshot; all in one square from -1 to 1."""
    if views.embedding is None:
        return None
    points = views.embedding.points
    return [[[round(float(v), 4) for v in p] for p in frame] for frame in points / (np.abs(points).max() or 1.0)]


_MOST_SCORES = 20


def _scores(views: Views) -> list[list[float | None]] | None:
    """The model's answer to the chosen example at every snapshot."""
    rows = [s.scores for s in views.snapshots]
    if any(r is None or len(r) != len(rows[0] if rows[0] is not None else ()) for r in rows) or not rows:
        return None
    if len(rows[0]) > _MOST_SCORES:  # type: ignore[arg-type]
        return None
    return [[float(v) if np.isfinite(v) else None for v in r] for r in rows if r is not None]
