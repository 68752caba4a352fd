"""A table as a Parquet file, written by Apache Arrow where that is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flightcheck.errors import MissingExtra


def require_pyarrow() -> None:
    """Say early that the package is missing.

    Raises:
        MissingExtra: Apache Arrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra(
            "Parquet files are written with Apache Arrow, which is not installed; pip install pyarrow, or export to "
            "a name that ends in .csv or .json"
        )


def write_parquet(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], file: Path) -> None:
    """Write rows; a column of numbers stays one, and one of several kinds becomes text. What a row lacks is null.

    Raises:
        OSError: the file cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({name: pyarrow.array(*_column([row.get(name) for row in rows])) for name in columns})
    parquet.write_table(table, file)


def _column(values: list[Any]) -> tuple[list[Any], str]:
    """The values, all of one kind, and the name of that kind."""
    kinds = {type(v) for v in values if v is not None}
    if kinds == {bool}:
        return values, "bool"
    if kinds == {int} and all(-(2**63) <= v < 2**63 for v in values if v is not None):
        return values, "int64"
    if kinds and kinds <= {int, float}:
        return [None if v is None else float(v) for v in values], "float64"
    return [None if v is None else str(v).encode(errors="replace").decode() for v in values], "string"
