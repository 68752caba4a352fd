"""Edits of a line of code: what a user reads as the change that was tried must be code that runs."""

from __future__ import annotations

import pytest

from flightcheck.lab.source_edits import calls_arrays, with_axes_moved, with_clamped, without_call


@pytest.mark.parametrize(
    ("line", "name", "expected"),
    [
        ("self.softmax = nn.Softmax(dim=1)", "softmax", "self.softmax = nn.Identity()"),
        ("self.act = torch.nn.Sigmoid()  # probabilities", "sigmoid", "self.act = nn.Identity()  # probabilities"),
        ("return F.softmax(self.fc(torch.relu(x)), dim=1)", "softmax", "return self.fc(torch.relu(x))"),
        ("return self.fc(x).softmax(dim=-1)", "softmax", "return self.fc(x)"),
        ("return self.softmax(self.fc2(h))", "softmax", "return self.fc2(h)"),
        ("y = torch.softmax(input=h, dim=1)", "softmax", "y = h"),
        ("p = torch.nn.functional.log_softmax(self.head(z), 1)", "log_softmax", "p = self.head(z)"),
        ("loss = bce(torch.sigmoid(net(x)).squeeze(1), y)", "sigmoid", "loss = bce(net(x).squeeze(1), y)"),
        ("nn.Linear(64, 10), nn.Softmax(dim=1))", "softmax", "nn.Linear(64, 10))"),
        ("nn.Softmax(dim=1),", "softmax", ""),
        ("model = nn.Sequential(nn.Sigmoid(), nn.Linear(3, 1))", "sigmoid", "model = nn.Sequential(nn.Linear(3, 1))"),
        ("layers = [nn.Linear(3, 1), nn.Sigmoid(), head]", "sigmoid", "layers = [nn.Linear(3, 1), head]"),
        ("layers.append(nn.Softmax(-1))", "softmax", "layers.append(nn.Identity())"),
        ("if training: y = F.softmax(y, 1)", "softmax", "if training: y = y"),
        ("for p in softmax(h, 1):", "softmax", "for p in h:"),
        ("größe = F.softmax(größe, 1)", "softmax", "größe = größe"),
        ("loss = F.cross_entropy(F.softmax(logits, 1),", "softmax", "loss = F.cross_entropy(logits,"),
    ],
)
def test_without_call(line: str, name: str, expected: str) -> None:
    assert without_call(line, name) == expected


@pytest.mark.parametrize("line", ["", "loss = criterion(model(x), y)", "softmax = 3", "x = 'softmax(", "softmax()"])
def test_lines_without_such_a_call_stay(line: str) -> None:
    assert without_call(line, "softmax") == line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("loss = -torch.log(p).mean()", "loss = -torch.log(p.clamp_min(1e-8)).mean()"),
        ("loss = -(y * torch.log(p[:, 1] + q)).sum()", "loss = -(y * torch.log((p[:, 1] + q).clamp_min(1e-8))).sum()"),
        ("std = x.var(0).sqrt()", "std = x.var(0).clamp_min(1e-8).sqrt()"),
        ("z = (x - m) / std", "z = (x - m) / std.clamp_min(1e-8)"),
        ("z = x / 2", "z = x / 2"),
        ("z = x / len(x)", "z = x / len(x)"),
        ("total = total +", "total = total +"),
    ],
)
def test_with_clamped(line: str, expected: str) -> None:
    assert with_clamped(line, "1e-8") == expected


@pytest.mark.parametrize(
    ("line", "before", "after", "expected"),
    [
        ("x = x.view(T, B, C)", (7, 32, 5), (32, 7, 5), "x = x.transpose(0, 1)"),
        ("x = torch.reshape(x, (-1, 3, 28, 28))", (8, 28, 28, 3), (8, 3, 28, 28), "x = x.permute(0, 3, 1, 2)"),
        ("return self.fc(h.view(n, -1))", (2, 33, 5), (33, 10), "return self.fc(h.transpose(0, 1).reshape(n, -1))"),
        (
            "q = self.q(x).view(b, self.heads, t, -1)",
            (4, 20, 64),
            (4, 8, 20, 8),
            "q = self.q(x).reshape(b, t, self.heads, -1).transpose(1, 2)",
        ),
        ("a = b.view(3, 7) + c.view(3, 7)", (7, 3), (3, 7), "a = b.view(3, 7) + c.view(3, 7)"),
        ("x = to_batch_first(x)", (7, 3), (3, 7), "x = to_batch_first(x)"),
    ],
)
def test_with_axes_moved(line: str, before: tuple[int, ...], after: tuple[int, ...], expected: str) -> None:
    assert with_axes_moved(line, before, after) == expected


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        ("return ndimage.maximum_filter1d(h, width, axis=-1)", True),
        ("weights = softmax(scores, axis=1)", True),
        ("y = fast(x.mean(1))", True),
        ("return torch.softmax(scores, dim=1)", False),
        ("h = self.np.sort(h)", False),
        ("x = other(", False),
    ],
)
def test_what_takes_arrays_only(code: str, calls: bool) -> None:
    source = "import torch, numpy.fft as fast\nfrom scipy import ndimage\nfrom scipy.special import softmax\n"
    assert calls_arrays(code, source) is calls
    assert not calls_arrays(code, "import torch\n")
