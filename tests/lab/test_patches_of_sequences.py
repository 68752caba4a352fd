"""Who reads the last output of padded sequences, and the patch that gives each sequence's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from flightcheck.lab.source_edits import at_their_ends
from flightcheck.recording.sequences import PaddedRead
from tests.lab.made import patched

LENGTHS = torch.tensor([3, 6, 2, 5])
IDS = torch.where(torch.arange(6) < LENGTHS[:, None], torch.arange(24).view(4, 6) % 8 + 1, 0)
Y = torch.tensor([0, 1, 0, 1])
Read = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Model(nn.Module):
    def __init__(self, read: Read, *, first: bool = True, packed: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(9, 5, padding_idx=0)
        self.rnn = nn.GRU(5, 7, batch_first=first)
        self.drop, self.head = nn.Dropout(0.0), nn.Linear(7, 2)
        self.read, self.first, self.packed = read, first, packed
        self.seen: list[torch.Tensor] = []

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids if self.first else ids.T)
        if self.packed:
            sequences = pack_padded_sequence(x, LENGTHS, batch_first=self.first, enforce_sorted=False)
            out, lengths = pad_packed_sequence(self.rnn(sequences)[0], batch_first=self.first)
        else:
            out, lengths = self.rnn(x)[0], LENGTHS
        out = self.drop(out)
        last = self.read(out, lengths)
        self.seen.append(last.detach())
        return self.head(last)  # type: ignore[no-any-return]


def train(tmp_path: Path, model: Model, patches: str = "", steps: int = 3) -> tuple[list[PaddedRead], dict[str, int]]:
    def loop() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for _ in range(steps):
            loss = nn.functional.cross_entropy(model(IDS), Y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    done = patched(tmp_path, patches, loop)
    return done.run.padded_reads, done.applied


@pytest.mark.parametrize(
    ("read", "first"),
    [
        (lambda out, n: out[:, -1], True),
        (lambda out, n: out[:, -1, :], True),
        (lambda out, n: out.select(1, -1), True),
        (lambda out, n: out[-1], False),
        (lambda out, n: out.relu()[-1, :], False),
    ],
)
def test_the_last_position_is_seen(tmp_path: Path, read: Read, first: bool) -> None:
    (found,), _ = train(tmp_path, Model(read, first=first))
    assert (found.kind, found.rows, found.short, found.length, found.mean_length) == ("packed", 4, 3, 6, 4.0)
    assert found.location is not None


@pytest.mark.parametrize(
    ("read", "first"),
    [
        (lambda out, n: out[torch.arange(4), n - 1], True),
        (lambda out, n: out[:, 0], True),
        (lambda out, n: out[-1:].mean(1) + out.mean(1), True),
        (lambda out, n: torch.stack([out[:, -i] for i in range(1, 7)]).mean(0), True),  # goes through all
        (lambda out, n: torch.stack([out[:, i] for i in range(6)]).mean(0), True),
        (lambda out, n: out[n - 1, torch.arange(4)], False),
    ],
)
def test_other_indices_say_nothing(tmp_path: Path, read: Read, first: bool) -> None:
    assert train(tmp_path, Model(read, first=first))[0] == []


@pytest.mark.parametrize("first", [True, False])
def test_a_layer_that_goes_through_the_padding_is_seen(tmp_path: Path, first: bool) -> None:
    model = Model((lambda out, n: out[:, -1]) if first else (lambda out, n: out[-1]), first=first, packed=False)
    (found,), _ = train(tmp_path, model)
    assert (found.kind, found.short) == ("padded", 3)


class Recordings(Model):
    """Features instead of ids, filled up with zeros."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(1)) * (ids > 0)[:, :, None]
        last = self.read(self.rnn(x)[0], LENGTHS)
        self.seen.append(last.detach())
        return self.head(last)  # type: ignore[no-any-return]


def test_sequences_that_end_with_zeros_in_all_features_are_padded(tmp_path: Path) -> None:
    (found,), _ = train(tmp_path, Recordings(lambda out, n: out[:, -1]))
    assert (found.kind, found.rows, found.short, found.length, found.mean_length) == ("padded", 4, 3, 6, 4.0)
    one, other = Recordings(lambda out, n: out[:, -1]), Recordings(lambda out, n: out[torch.arange(4), n - 1])
    train(tmp_path, one, "last-step:lengths", steps=12)
    train(tmp_path, other)
    assert torch.equal(one.seen[0], other.seen[0])


class LastStates(Recordings):
    """Reads the hidden state."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(1)) * (ids > 0)[:, :, None]
        last = self.read(self.rnn(x)[1], LENGTHS)
        self.seen.append(last.detach())
        return self.head(last)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "read", [lambda h, n: h[-1], lambda h, n: h.squeeze(0), lambda h, n: h.squeeze(), lambda h, n: h.select(0, -1)]
)
def test_the_last_state_is_that_before_the_padding(tmp_path: Path, read: Read) -> None:
    one, other = LastStates(read), Recordings(lambda out, n: out[torch.arange(4), n - 1])
    _, applied = train(tmp_path, one, "last-step:lengths", steps=12)
    train(tmp_path, other)
    assert applied["last-step:lengths"] >= 12
    assert torch.allclose(one.seen[0], other.seen[0])


@pytest.mark.parametrize(
    ("wrong", "right", "first"),
    [
        (lambda out, n: out[:, -1], lambda out, n: out[torch.arange(4), n - 1], True),
        (lambda out, n: out[:, -1, :], lambda out, n: out[torch.arange(4), n - 1], True),
        (lambda out, n: out[-1], lambda out, n: out[n - 1, torch.arange(4)], False),
    ],
)
def test_with_the_patch_each_sequence_has_its_own_end(tmp_path: Path, wrong: Read, right: Read, first: bool) -> None:
    one, other = Model(wrong, first=first), Model(right, first=first)
    _, applied = train(tmp_path, one, "last-step:lengths", steps=12)
    train(tmp_path, other)
    assert applied["last-step:lengths"] >= 12
    assert torch.equal(one.seen[0], other.seen[0])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("last = out[:, -1]", "last = out[torch.arange(len(lengths)), lengths - 1]"),
        ("return self.fc(out[:, -1, :])", "return self.fc(out[torch.arange(len(lengths)), lengths - 1, :])"),
        ("last = out[-1]", "last = out[lengths - 1, torch.arange(len(lengths))]"),
        ("a, b = out[:, -1], h[-1]", ""),
        ("x = [-1]", ""),
    ],
)
def test_the_change_is_code(line: str, expected: str) -> None:
    assert at_their_ends(line) == expected
