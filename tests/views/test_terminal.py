"""The table of layers in a narrow terminal."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest

from flightcheck.report.console import console_for
from flightcheck.report.view.terminal import print_layers
from flightcheck.views.layers import Layer, Structure


def printed(width: int) -> list[str]:
    layers = [
        Layer("", "TinyVisionTransformer", 0, shape=(64, 10), parameters=48, macs=612_864, inside=3),
        Layer("encoder.layers.0.self_attention", "MultiheadAttention", 1, shape=(64, 16, 48), parameters=9_408, macs=1),
        Layer("encoder.layers.11.linear1", "NonDynamicallyQuantizableLinear", 2, shape=(64, 16, 96), parameters=4_704),
        Layer("head", "Linear", 3, shape=(64, 10), parameters=490, macs=480, receptive_field="all"),
    ]
    out = io.StringIO()
    print_layers(Structure(layers, [], cast(Any, None)), console_for(out, width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100])
def test_each_layer_is_one_line_that_fits(width: int) -> None:
    lines = printed(width)
    assert len(lines) == 2 + 4 + 1  # head, rule, layers, total
    assert max(map(len, lines)) <= width
    assert "self_attention" in lines[3] and "9,408" in lines[3]
    assert "ayers.11.linear1" in lines[4] and "NonDynamic" in lines[4]  # the end of a name, the beginning of a type


def test_where_there_is_room_nothing_is_cut() -> None:
    text = "\n".join(printed(150))
    assert "encoder.layers.0.self_attention" in text and "NonDynamicallyQuantizableLinear" in text
    assert "…" not in text
