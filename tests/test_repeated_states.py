"""Sequences that are generated step by step: does the state go on, or is each step given the first one?"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import flightcheck
from flightcheck.recording.going_on import going_on
from flightcheck.recording.provenance.dropped_states import dropped_in_loop
from flightcheck.recording.sequences import RepeatedState
from flightcheck.testing import verdict_of

WORDS, WIDTH = 6, 8


class Decoder(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.words, self.rnn, self.out = (
            nn.Embedding(WORDS, 4),
            kind(4, WIDTH, batch_first=True),
            nn.Linear(WIDTH, WORDS),
        )

    def forward(self, tokens: Tensor, h: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        y, h = self.rnn(self.words(tokens), h)
        return self.out(y), h


class Reader(nn.Module):
    """Looks at a memory, and returns its weights beside the scores; the memory stays as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.rnn, self.out = (
            nn.Embedding(WORDS, WIDTH),
            nn.GRU(WIDTH, WIDTH, batch_first=True),
            nn.Linear(8, 6),
        )

    def forward(self, tokens: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        y, _ = self.rnn(self.words(tokens))
        weights = (y @ memory[-1].unsqueeze(2)).softmax(1)
        return self.out(y + memory[-1].unsqueeze(1)), weights


def dropping(decoder: nn.Module, h: Tensor, token: Tensor) -> list[Tensor]:
    found = []
    for _ in range(6):
        scores, _ = decoder(token, h)
        token = scores[:, -1:].argmax(-1)
        found.append(token)
    return found


def carrying(decoder: nn.Module, h: Tensor, token: Tensor) -> list[Tensor]:
    found = []
    for _ in range(6):
        scores, h = decoder(token, h)
        token = scores[:, -1:].argmax(-1)
        found.append(token)
    return found


def branching(decoder: nn.Module, h: Tensor, token: Tensor) -> list[Tensor]:
    """What would each word score, each from the same state?"""
    found = []
    for word in range(6):
        scores, _ = decoder(torch.full_like(token, word), h)
        found.append(scores.argmax(-1))
    return found


def seen(
    tmp_path: Path, decoder: nn.Module, generate: Callable[[nn.Module, Tensor, Tensor], object]
) -> flightcheck.Run:
    torch.manual_seed(0)
    lstm = isinstance(getattr(decoder, "rnn", None), nn.LSTM)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD(decoder.parameters(), lr=0.1)
        for i in range(10):
            state = torch.randn(1, 5, WIDTH)
            tokens = torch.randint(WORDS, (5, 4))
            given = (state, torch.zeros_like(state)) if lstm else state
            loss = nn.functional.cross_entropy(decoder(tokens, given)[0].flatten(0, 1), tokens.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if i == 8:
                with torch.no_grad():
                    generate(decoder, given, tokens[:, :1])
    assert watched.run is not None
    return watched.run


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_state_that_is_dropped_in_each_step_is_told(kind: type[nn.RNNBase], tmp_path: Path) -> None:
    run = seen(tmp_path, Decoder(kind), dropping)
    (found,) = run.recorded(RepeatedState)
    assert (found.name, found.calls, found.same) == ("h", 6, 5)
    (finding,) = verdict_of("C23", run).findings
    assert finding.patch.startswith("source:goes-on:test_repeated_states.py:")
    assert finding.location is not None and "scores, _ = decoder(token, h)" in finding.location.code


@pytest.mark.parametrize(
    ("decoder", "generate"),
    [(Decoder(nn.GRU), carrying), (Decoder(nn.LSTM), carrying), (Decoder(nn.GRU), branching), (Reader(), dropping)],
)
def test_other_loops_are_not(decoder: nn.Module, generate: Callable[..., object], tmp_path: Path) -> None:
    assert verdict_of("C23", seen(tmp_path, decoder, generate)).findings == ()


def test_a_loop_in_the_forward_pass_is_told_in_training(tmp_path: Path) -> None:
    cell, out = nn.GRUCell(WORDS, WIDTH), nn.Linear(WIDTH, WORDS)

    def step(token: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        new = cell(token, h)
        return out(new), new

    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD([*cell.parameters(), *out.parameters()], lr=0.1)
        for _ in range(5):
            h, token, total = torch.randn(4, WIDTH), torch.zeros(4, WORDS), []
            for _ in range(4):
                scores, _ = step(token, h)
                token = scores.softmax(1)
                total.append(scores.logsumexp(1).mean())
            optimizer.zero_grad()
            torch.stack(total).mean().backward()
            optimizer.step()
    assert watched.run is not None
    assert verdict_of("C23", watched.run).status == "fail"


LOOP = """
def generate(decoder, token, hidden, memory):
    for t in range(5):
        {call}
        token = scores.argmax(-1)
"""


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("scores, _ = decoder(token, hidden)", "hidden"),
        ("scores, unused = decoder(token, hidden, memory)", "hidden"),
        ("scores, _ = decoder(token, hx=hidden)", "hidden"),
        ("scores, hidden = decoder(token, hidden)", ""),
        ("scores, hidden, _ = decoder(token, hidden, memory)", ""),
        ("scores, new = decoder(token, hidden); hidden = new", ""),
        ("scores = decoder(token, hidden)[0]", ""),
        ("scores, _ = decoder(words[t], hidden)", ""),
    ],
)
def test_the_state_is_named_by_the_source(call: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(LOOP.format(call=call))
    assert dropped_in_loop(str(file), 4) == name


def test_the_statement_is_written_anew_with_the_state() -> None:
    statement = ast.parse("scores, _ = self.decoder(token, h)").body[0]
    assert going_on(statement, statement) == "scores, h = self.decoder(token, h)"
    other = ast.parse("scores = self.decoder(token, h)").body[0]
    assert going_on(other, other) == ""


def test_a_window_that_holds_its_history_needs_no_state(tmp_path: Path) -> None:
    def sliding(decoder: nn.Module, h: Tensor, token: Tensor) -> list[Tensor]:
        found, window = [], token.repeat(1, 3)
        for _ in range(6):
            scores, _ = decoder(window, h)
            window = torch.cat([window[:, 1:], scores[:, -1:].argmax(-1)], 1)
            found.append(window)
        return found

    assert verdict_of("C23", seen(tmp_path, Decoder(nn.GRU), sliding)).findings == ()
