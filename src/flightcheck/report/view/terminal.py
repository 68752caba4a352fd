"""The layers as a table in the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flightcheck.report.page.markup import count, shortened
from flightcheck.report.terminal import plain
from flightcheck.views.layers import Layer, Structure


def print_layers(structure: Structure, console: Console) -> None:
    """Print each called module: what it returns, learns, multiplies and sees."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("layer", overflow="fold")
    table.add_column("type", overflow="fold")
    table.add_column("output")
    for name in ("parameters", "MACs", "sees"):
        table.add_column(name, justify="right")
    for x in structure.layers:
        cells = (name_of(x), x.type, shape_of(x), _amount(x.parameters), _amount(x.macs), x.receptive_field)
        table.add_row(*(Text(plain(shortened(c, 60))) for c in cells), style="bold" if x.inside else None)
    console.print(table)
    total = sum(x.parameters for x in structure.layers)
    macs = structure.layers[0].macs or 0
    console.print(
        f"{count(len(structure.leaves()), 'layer')}, {total:,} parameters, {macs:,} MACs an example", soft_wrap=True
    )


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
