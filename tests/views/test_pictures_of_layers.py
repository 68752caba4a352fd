"""What is drawn of activations, filters, features and gradients, against PyTorch's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.views.activations import NOTHING, Size, cells, in_rows, of_example, smaller
from flightcheck.views.embedding import embedded
from tests.views.made import case, needs_captum


def test_activations_are_those_of_the_example() -> None:
    model, batch, _ = case("cnn")
    views = flightcheck.view(model, batch, example=4).views
    assert isinstance(model, nn.Module)
    model.eval()
    with torch.no_grad():
        wanted = model.first(batch)[4].numpy()  # type: ignore[operator,union-attr]
        scores = model(batch)[4].numpy()
    np.testing.assert_allclose(views.last.activations["first"], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(views.feature_maps["first"], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(views.last.scores, scores, rtol=1e-4, atol=1e-5)


def test_sequences_have_their_positions_from_left_to_right() -> None:
    model, batch, _ = case("lstm")
    views = flightcheck.view(model, batch, example=1).views
    with torch.no_grad():
        wanted = model.table(batch)[1].T.numpy()  # type: ignore[operator,union-attr]
    np.testing.assert_array_equal(views.last.activations["table"][0], wanted)


def test_the_part_of_an_example() -> None:
    output = torch.arange(24.0).reshape(6, 4)  # two examples of three positions each, one after the other
    part = of_example(output, 0, 2, 1)
    assert part is not None
    assert part.tolist() == output[3:].tolist()
    assert of_example(output, 1, 4, 2).tolist() == output[:, 2].tolist()  # type: ignore[union-attr]
    assert of_example(output, -1, 2, 0) is None


def test_a_large_picture_is_averaged_block_by_block() -> None:
    x = np.arange(36.0).reshape(6, 6)
    np.testing.assert_allclose(smaller(x, 3), x.reshape(3, 2, 3, 2).mean((1, 3)))
    assert smaller(x, 4).mean() != 0
    assert smaller(x, 6) is x


def test_a_vector_is_read_like_a_text() -> None:
    made = in_rows(np.arange(64.0), 48)
    np.testing.assert_array_equal(made, np.arange(64.0).reshape(8, 8))  # a square where it fills one
    ragged = in_rows(np.arange(50.0), 48)
    assert ragged.ravel()[:50].tolist() == list(range(50))
    assert (ragged.ravel()[50:] == NOTHING).all()
    assert cells(torch.full((3,), torch.nan), Size(4, 8)).shape == (1, 1, 3)


def test_filters_are_the_kernels() -> None:
    model, batch, _ = case("cnn")
    views = flightcheck.view(model, batch).views
    weight = model.first.weight.detach().numpy()  # type: ignore[union-attr,operator]
    np.testing.assert_allclose(views.last.filters["first"], weight.mean(1), atol=1e-7)
    np.testing.assert_array_equal(views.colours["first"], np.moveaxis(weight, 1, -1))
    assert set(views.last.filters) == {"first", "one", "two"}


def test_top_examples_are_those_with_the_largest_answers() -> None:
    model, batch, _ = case("cnn")
    views = flightcheck.view(model, batch).views
    top = {t.path: t for t in views.top}["first"]
    model.eval()
    with torch.no_grad():
        largest = model.first(batch).amax((2, 3)).numpy()  # type: ignore[operator,union-attr]
    for unit, examples, values in zip(top.units, top.examples, top.values):
        assert examples.tolist() == np.argsort(-largest[:, unit])[:5].tolist()
        np.testing.assert_allclose(values, largest[examples, unit], rtol=1e-4, atol=1e-5)


def test_the_embedding_is_made_of_principal_components() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 5)) * [5, 3, 0.1, 0.1, 0.1]
    made = embedded("head", [features * 0.5, features])
    assert made is not None
    assert made.points.shape == (2, 30, 2)
    values = np.linalg.eigvalsh(np.cov(features.T))[::-1]
    np.testing.assert_allclose(made.points[-1].var(0, ddof=1), values[:2], rtol=1e-4)
    np.testing.assert_allclose(made.shares, values[:2] / values.sum(), rtol=1e-6)
    assert embedded("head", [features[:2]]) is None


def test_the_gradient_flow_is_autograds() -> None:
    model, batch, _ = case("mlp")
    sizes = flightcheck.view(model, batch).views.last.gradients
    hidden = model[1](batch.flatten(1)).detach().requires_grad_()  # type: ignore[index,operator]
    scores = model[3](model[2](hidden))  # type: ignore[index,operator]
    (gradient,) = torch.autograd.grad(scores.max(1).values.sum(), hidden)
    assert sizes["1"] == pytest.approx(float(gradient.square().mean().sqrt()), rel=1e-5)
    assert sizes["3"] == pytest.approx(0.1**0.5)  # one of ten scores for each example


def test_the_trainings_own_gradients_are_told_where_there_are_any() -> None:
    model, batch, targets = case("mlp")
    assert flightcheck.view(model, batch).views.last.trained == {}
    nn.functional.cross_entropy(model(batch), targets).backward()  # type: ignore[no-untyped-call]
    found = flightcheck.view(model, batch).views.last.trained
    together = torch.cat([p.grad.flatten() for p in model[1].parameters() if p.grad is not None])  # type: ignore[index]
    assert found["1"] == pytest.approx(float(together.square().mean().sqrt()), rel=1e-5)


def test_attention_is_what_the_module_returns() -> None:
    model, batch, _ = case("transformer")
    views = flightcheck.view(model, batch, example=3).views
    assert [a.path for a in views.attention] == ["encoder.layers.0.self_attn", "encoder.layers.1.self_attn"]
    model.eval()
    x = model.table(batch)  # type: ignore[operator,union-attr]
    layer = model.encoder.layers[0].self_attn  # type: ignore[union-attr,index]
    _, weights = layer(x, x, x, average_attn_weights=False)  # type: ignore[operator]
    np.testing.assert_allclose(views.attention[0].weights, weights[3].detach().numpy(), atol=1e-6)


class OwnAttention(nn.Module):
    """Causal self-attention as people write it: fused, or with a softmax."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 2)
        self.fused = fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, 2, 4).permute(2, 0, 3, 1, 4)
        if self.fused:
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-2, -1) / 2
            y = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), -torch.inf).softmax(-1) @ v
        made: torch.Tensor = self.head(y.transpose(1, 2).reshape(n, t, 8).mean(1))
        return made


def test_attention_of_ones_own_is_seen_however_it_is_computed() -> None:
    torch.manual_seed(0)
    fused, softmax = OwnAttention(True), OwnAttention(False)
    softmax.load_state_dict(fused.state_dict())
    x = torch.randn(3, 5, 8)
    (one,) = flightcheck.view(fused, x).views.attention
    (other,) = flightcheck.view(softmax, x).views.attention
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)
    np.testing.assert_allclose(one.weights.sum(-1), 1, atol=1e-6)
    assert np.triu(one.weights[0], 1).sum() == 0


@needs_captum
def test_attributions_of_a_linear_model_are_its_weights() -> None:
    torch.manual_seed(0)
    model = nn.Linear(6, 3)
    x = torch.randn(4, 6)
    views = flightcheck.view(model, x, example=1).views
    found = {a.method: a for a in views.attributions}
    target = int(model(x)[1].argmax())
    weight, one = model.weight[target].detach().numpy(), x[1].numpy()
    assert {a.target for a in views.attributions} == {target}
    np.testing.assert_allclose(found["Saliency"].values, np.abs(weight), rtol=1e-5)
    np.testing.assert_allclose(found["Integrated gradients"].values, weight * one, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["Occlusion"].values, weight * one, rtol=1e-4, atol=1e-6)


@needs_captum
@pytest.mark.parametrize(
    ("kind", "methods"),
    [
        ("cnn", ["Saliency", "Integrated gradients", "Occlusion", "Grad-CAM"]),
        ("mlp", ["Saliency", "Integrated gradients", "Occlusion"]),
        ("lstm", ["Gradient × embedding", "Integrated gradients", "Occlusion"]),
        ("transformer", ["Gradient × embedding", "Integrated gradients", "Occlusion"]),
    ],
)
def test_every_kind_of_model_has_attributions(kind: str, methods: list[str]) -> None:
    model, batch, _ = case(kind)
    views = flightcheck.view(model, batch).views
    assert [a.method for a in views.attributions] == methods
    assert views.notes == []
    assert all(np.isfinite(a.values).all() and np.abs(a.values).max() > 0 for a in views.attributions)
