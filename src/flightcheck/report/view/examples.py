"""How an example of a batch is shown: as a picture, as colours, or as the numbers of its tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flightcheck.report.page.markup import Html, element, theirs
from flightcheck.report.view.pictures import coloured, drawn
from flightcheck.views.activations import in_rows, smaller
from flightcheck.views.frames import Views

_MOST_TOKENS = 40
_SIDE = 64


def example(views: Views, number: int, most: int) -> Html:
    """One example of the batch, at most so many pixels large."""
    one, says = views.input[number], caption(views, number)
    if one.dtype.kind not in "f":
        ids = [str(v) for v in np.ravel(one)[:_MOST_TOKENS]]
        more = " …" if one.size > _MOST_TOKENS else ""
        return element("code", " ".join(ids) + more, title=says, class_="tokens")
    if one.ndim == 3:  # a picture: in its colours, or grey
        channels = one if one.shape[0] == 3 else np.broadcast_to(one.mean(0), (3, *one.shape[1:]))
        return coloured(np.stack([smaller(c, _SIDE) for c in channels], -1), says, most)
    return drawn(flat(one), says, most=most)


def caption(views: Views, number: int) -> str:
    """``example 3, label 7``."""
    label = f", label {views.labels[number]}" if views.labels is not None else ""
    return f"example {number}{label}"


def flat(one: NDArray[Any]) -> NDArray[Any]:
    """An example, or what was computed of it, as (height, width): the mean of its channels, positions to the right."""
    x = np.asarray(one, np.float32)
    while x.ndim > 3:
        x = x[x.shape[0] // 2]
    if x.ndim == 3:
        x = x.mean(0)
    if x.ndim == 2:
        return smaller(x if x.shape[0] == x.shape[1] else x.T, _SIDE).astype(np.float32)
    return in_rows(np.ravel(x)[: _SIDE**2], _SIDE)


def token_strip(values: NDArray[Any], ids: NDArray[Any], limit: float) -> Html:
    """Tokens, each on a ground that tells how much it counts; values of shape (positions,)."""
    marks = []
    for token, value in list(zip(np.ravel(ids), np.ravel(values)))[:_MOST_TOKENS]:
        share = 0.0 if not np.isfinite(value) else float(np.clip(value / (limit or 1.0), -1, 1))
        side = "var(--red)" if share > 0 else "var(--blue)"
        ground = f"background: color-mix(in srgb, {side} {abs(share) * 45:.0f}%, transparent)"
        marks.append(element("span", theirs(str(token)), title=f"{value:.3g}", style=ground, class_="token"))
    return element("p", *marks, class_="tokens")
