"""Arrays as pictures: PNG in a data address, so that they show without JavaScript and cannot run."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flightcheck.frozen import frozen
from flightcheck.report.page.markup import Html, element, number
from flightcheck.views.activations import NOTHING

_LEVELS: Final = 254
"""Of the colours: 0 is transparent, 1 is the colour of what is not finite."""
_NOT_FINITE: Final = (214, 0, 214)
_GROWING: Final = ((26, 28, 84), (59, 82, 139), (33, 144, 141), (93, 201, 99), (253, 231, 37))
"""From 0 to the largest value (anchors of viridis)."""
_SIGNED: Final = ((5, 71, 148), (93, 160, 214), (244, 244, 242), (236, 134, 86), (165, 15, 21))
"""From the most negative over 0 to the most positive value."""


@frozen
class Scale:
    """How values become colours."""

    limit: float
    """Values beyond it have the last colour."""
    signed: bool

    @classmethod
    def of(cls, values: Any) -> Scale:
        """One that ends where 99.5 % of the values do, so that a single one does not blank all others."""
        x = np.concatenate([np.ravel(v) for v in values]) if isinstance(values, list) else np.ravel(values)
        x = x[np.isfinite(x) & (x != NOTHING)]
        if not x.size:
            return cls(1.0, False)
        limit = float(np.quantile(np.abs(x), 0.995)) or float(np.abs(x).max())
        return cls(limit or 1.0, bool((x < 0).any()))

    def levels(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """The place of each value in the palette."""
        x = np.where(np.isfinite(values) & (values != NOTHING), values, 0) / self.limit
        share = (np.clip(x, -1, 1) + 1) / 2 if self.signed else np.clip(x, 0, 1)
        made = (2 + np.round(share * (_LEVELS - 1))).astype(np.uint8)
        made[~np.isfinite(values)] = 1
        made[values == NOTHING] = 0
        return made

    def palette(self) -> NDArray[np.uint8]:
        """Red, green and blue of each level, shape (256, 3)."""
        anchors = np.array(_SIGNED if self.signed else _GROWING, float)
        at = np.linspace(0, len(anchors) - 1, _LEVELS)
        ramp = np.stack([np.interp(at, np.arange(len(anchors)), anchors[:, i]) for i in range(3)], 1)
        return np.concatenate([[[128, 128, 128], _NOT_FINITE], ramp]).round().astype(np.uint8)

    def text(self) -> str:
        """The ends of the colours, in words."""
        end = number(self.limit)
        return (
            f"colours from −{end} (blue) over 0 (white) to {end} (red)" if self.signed else f"colours from 0 to {end}"
        )


def laid_out(cells: NDArray[Any], columns: int | None = None) -> NDArray[Any]:
    """Small pictures (cells, height, width) as one, in rows, with a line of nothing between them."""
    n, h, w = cells.shape
    if n == 1:
        return np.asarray(cells[0])
    columns = columns or max(1, int(np.ceil(np.sqrt(n * h / max(1, w)))))
    rows = -(-n // columns)
    sheet = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1), NOTHING, np.float32)
    for i, cell in enumerate(cells):
        y, x = divmod(i, columns)
        sheet[y * (h + 1) : y * (h + 1) + h, x * (w + 1) : x * (w + 1) + w] = cell
    return sheet


def png(values: NDArray[Any], scale: Scale) -> str:
    """A data address of a picture with a palette; values of shape (height, width)."""
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", scale.palette().tobytes()), (b"tRNS", b"\0")]
    return _address([*chunks, (b"IDAT", _packed(scale.levels(values)))])


def png_of_colours(values: NDArray[np.uint8]) -> str:
    """A data address of a picture of red, green and blue, shape (height, width, 3)."""
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8, 2, 0, 0, 0)
    return _address([(b"IHDR", header), (b"IDAT", _packed(values.reshape(values.shape[0], -1)))])


def picture(address: str, size: tuple[int, int], says: str, most: int = 220) -> Html:
    """An image element, enlarged by a whole number where it is small; `size` is (height, width)."""
    height, width = size
    times = max(1, min(12, most // max(height, width, 1)))
    return element(
        "img", src=address, alt=says, title=says, width=width * times, height=height * times, class_="pixels"
    )


def drawn(values: NDArray[Any], says: str, scale: Scale | None = None, most: int = 220) -> Html:
    """Values of shape (height, width) as an image element, with the ends of its colours in its name."""
    scale = scale or Scale.of(values)
    return picture(png(values, scale), (values.shape[0], values.shape[1]), f"{says}; {scale.text()}", most)


def coloured(values: NDArray[Any], says: str, most: int = 220) -> Html:
    """Values of shape (height, width, 3) as an image element: from the smallest, black, to the largest."""
    return picture(png_of_colours(as_colours(values)), (values.shape[0], values.shape[1]), says, most)


def as_colours(values: NDArray[Any]) -> NDArray[np.uint8]:
    """From the smallest value, 0, to the largest, 255; what is not finite is black."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / ((high - low) or 1.0)
    return np.asarray(np.round(scaled * 255), np.uint8)


def _packed(rows: NDArray[np.uint8]) -> bytes:
    """Lines of a PNG: each begins with the number of its filter, 0 for none."""
    return zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes(), 9)


def _address(chunks: list[tuple[bytes, bytes]]) -> str:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in [*chunks, (b"IEND", b"")]:
        parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    return "data:image/png;base64," + base64.b64encode(b"".join(parts)).decode("ascii")
