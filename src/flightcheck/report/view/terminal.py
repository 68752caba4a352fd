"""The layers as a table in the terminal."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flightcheck.report.page.markup import count, shortened
from flightcheck.report.terminal import plain
from flightcheck.views.layers import Layer, Structure

_HEAD: Final = ("layer", "type", "output", "parameters", "MACs", "sees")
_GAP: Final = 3
"""Blanks between two columns."""
_LEAST_NAME: Final = 18
_LEAST_TYPE: Final = 10


def print_layers(structure: Structure, console: Console) -> None:
    """Print each called module: what it returns, learns, multiplies and sees."""
    rows = [
        [name_of(x), x.type, shape_of(x), _amount(x.parameters), _amount(x.macs), x.receptive_field]
        for x in structure.layers
    ]
    texts = [[plain(shortened(c, 60)) for c in row] for row in rows]
    _fit(texts, console.width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in _HEAD:
        table.add_column(name, no_wrap=True, justify="left" if name in _HEAD[:3] else "right")
    for x, row in zip(structure.layers, texts):
        table.add_row(*map(Text, row), style="bold" if x.inside else None)
    console.print(table)
    total = sum(x.parameters for x in structure.layers)
    macs = structure.layers[0].macs or 0
    console.print(
        f"{count(len(structure.leaves()), 'layer')}, {total:,} parameters, {macs:,} MACs an example", soft_wrap=True
    )


def _fit(rows: list[list[str]], width: int) -> None:
    """Shorten names, then types, until the rows fit into so many columns: the end of a name tells most, and of a type
    its beginning. A number is never cut.
    """
    widths = [max(cell_len(c) for c in (_HEAD[i], *(row[i] for row in rows))) for i in range(len(_HEAD))]
    over = sum(widths) + _GAP * (len(_HEAD) - 1) - width
    for column, least in ((0, _LEAST_NAME), (1, _LEAST_TYPE)):
        most = max(widths[column] - max(over, 0), least)
        over -= max(0, widths[column] - most)
        for row in rows:
            text = row[column]
            if cell_len(text) > most:
                row[column] = f"…{text[-(most - 1) :]}" if column == 0 else f"{text[: most - 1]}…"


def name_of(layer: Layer) -> str:
    """The path of a module; the model itself has none."""
    return layer.path or "(model)"


def shape_of(layer: Layer) -> str:
    """``N×64×8×8``: N stands for the examples."""
    if layer.shape is None:
        return ""
    return "×".join("N" if i == layer.axis else str(n) for i, n in enumerate(layer.shape)) or "()"


def _amount(number: int | None) -> str:
    return f"{number:,}" if number else ""
