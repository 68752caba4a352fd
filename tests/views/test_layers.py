"""The table of layers and the graph, against what can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from flightcheck.views.batch import Batch
from flightcheck.views.layers import Structure, structure_of
from flightcheck.views.undisturbed import copied, surroundings
from tests.views.made import KINDS, Recurrent, case


def structure(model: nn.Module, batch: torch.Tensor) -> Structure:
    with surroundings():
        return structure_of(copied(model), Batch.of((batch,), {}))


def column(made: Structure, name: str) -> dict[str, object]:
    return {x.path: getattr(x, name) for x in made.layers}


def test_a_convolutional_network() -> None:
    model, batch, _ = case("cnn")
    made = structure(model, batch)
    assert column(made, "shape") == {
        "": (12, 4), "first": (12, 8, 8, 8), "norm": (12, 8, 8, 8), "pool": (12, 8, 4, 4), "one": (12, 8, 4, 4),
        "two": (12, 8, 4, 4), "drop": (12, 8), "head": (12, 4),
    }  # fmt: skip
    assert column(made, "parameters") == {
        "": 0, "first": 8 * 3 * 25 + 8, "norm": 16, "pool": 0, "one": 8 * 8 * 9 + 8, "two": 8 * 8 * 9 + 8, "drop": 0,
        "head": 36,
    }  # fmt: skip
    first, other, head = 8 * 8 * 8 * 75, 4 * 4 * 8 * 72, 32
    assert column(made, "macs") == {
        "": first + 2 * other + head, "first": first, "norm": 0, "pool": 0, "one": other, "two": other, "drop": 0,
        "head": head,
    }  # fmt: skip
    # 5; pooling adds one step of 2; each 3×3 adds 2 steps of 4
    assert column(made, "receptive_field") == {
        "": "all", "first": "5×5", "norm": "5×5", "pool": "7×7", "one": "15×15", "two": "23×23", "drop": "all",
        "head": "all",
    }  # fmt: skip
    assert made.edges == [
        ("first", "norm"), ("norm", "pool"), ("pool", "one"), ("pool", "drop"), ("one", "two"), ("two", "drop"),
        ("drop", "head"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_followed_inside_an_observer_whose_tensors_pass_by_no_function_mode(kind: str) -> None:
    model, batch, _ = case(kind)
    with torch._C.DisableTorchFunction():
        made = structure(model, batch)
    assert made.edges == structure(model, batch).edges
    assert made.edges or len(made.leaves()) == 1


def test_the_receptive_field_is_where_the_gradient_of_one_value_reaches() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, dilation=2, padding=2), nn.AvgPool2d(2), nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1),
        nn.Conv2d(2, 1, (1, 3), stride=2),
    )  # fmt: skip
    x = torch.randn(1, 1, 40, 40, requires_grad=True)
    found = structure(model, x.detach()).layers[-1].receptive_field
    widest = [0, 0]
    for i, j in [(8, 8), (9, 9), (9, 8)]:  # a transposed convolution treats even and odd places differently
        (gradient,) = torch.autograd.grad(model(x)[0, 0, i, j], x)
        rows, columns = (gradient[0, 0] != 0).nonzero().T
        extent = (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1)
        widest = [max(a, b) for a, b in zip(widest, extent)]
    assert found == "×".join(map(str, widest))


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_add_up(kind: str) -> None:
    model, batch, _ = case(kind)
    made = structure(model, batch)
    assert sum(x.parameters for x in made.layers) == sum(p.numel() for p in model.parameters())
    assert made.notes == []


def test_recurrent_layers_and_attention_are_counted() -> None:
    model, batch, _ = case("lstm")
    assert column(structure(model, batch), "macs")["lstm"] == 7 * 4 * 12 * (6 + 12)
    model, batch, _ = case("transformer")
    macs = column(structure(model, batch), "macs")
    assert macs["encoder.layers.0.self_attn"] == 9 * 16 * 3 * 16 + 9 * 9 * 16 * 2 + 9 * 16 * 16
    assert macs["encoder.layers.0.linear1"] == 9 * 16 * 32


@pytest.mark.parametrize("examples_first", [True, False])
def test_the_axis_of_the_examples_is_found(examples_first: bool) -> None:
    model = Recurrent(examples_first)
    batch = torch.randint(20, (5, 7) if examples_first else (7, 5))
    made = structure(model, batch)
    assert made.batch.size == 5
    assert column(made, "axis") == {"": 0, "table": int(not examples_first), "lstm": int(not examples_first), "head": 0}


def test_a_shared_layer_is_counted_once() -> None:
    shared = nn.Linear(4, 4)
    made = structure(nn.Sequential(shared, nn.ReLU(), shared), torch.randn(3, 4))
    by_path = {x.path: x for x in made.layers}
    assert by_path["0"].calls == 2
    assert by_path["0"].macs == 2 * 16
    assert sum(x.parameters for x in made.layers) == 20
    assert set(made.edges) == {("0", "1"), ("1", "0")}


def test_a_model_that_wants_its_own_number_of_examples_is_seen_all_the_same() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.layer(x + torch.zeros(4, 3))
            return made

    made = structure(Fixed(), torch.randn(4, 3))
    assert column(made, "axis") == {"": 0, "layer": 0}
    assert made.notes == ["the model does not take 3 of the 4 examples (RuntimeError)"]
