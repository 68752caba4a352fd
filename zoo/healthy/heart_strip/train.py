"""Follow a long strip of a heart recorder: a GRU that carries its state from chunk to chunk (truncated BPTT)."""
import os
import random

import numpy as np
import torch
from torch import nn

CHUNK = 25
STREAMS = 16


def strip(length, rng):
    """A beat counter that is never visible for long: every beat bears the rhythm of the last mark before it."""
    signal, target = np.zeros((length, 2)), np.zeros(length)
    rate, phase = rng.uniform(0.06, 0.12), rng.random()
    for t in range(length):
        if rng.random() < 0.01:
            rate = rng.uniform(0.06, 0.12)
            signal[t, 1] = (rate - 0.09) / 0.03
        phase = (phase + rate) % 1.0
        signal[t, 0] = np.exp(-((phase - 0.5) / 0.08) ** 2) + 0.05 * rng.normal()
        target[t] = (rate - 0.09) / 0.03
    return signal.astype(np.float32), target.astype(np.float32)


def make_streams(n, length, rng):
    parts = [strip(length, rng) for _ in range(n)]
    x = torch.from_numpy(np.stack([p[0] for p in parts]))
    y = torch.from_numpy(np.stack([p[1] for p in parts]))
    return x, y


class Follower(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x, state=None):
        h, state = self.gru(x, state)
        return self.out(h).squeeze(-1), state


def run_epoch(model, x, y, optimizer=None):
    """The chunks must come in the order of time; the state of one is the start of the next."""
    state, total, pieces = None, 0.0, 0
    for start in range(0, x.shape[1], CHUNK):
        pred, state = model(x[:, start:start + CHUNK], state)
        state = state.detach()
        if start == 0:
            continue  # the first chunk only warms the state up
        loss = nn.functional.mse_loss(pred, y[:, start:start + CHUNK])
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        total += loss.item()
        pieces += 1
    return total / pieces


def main():
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x_train, y_train = make_streams(STREAMS, 1000, rng)
    x_test, y_test = make_streams(4, 1000, rng)

    model = Follower()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12, eta_min=4e-4)
    for epoch in range(12):
        train = run_epoch(model, x_train, y_train, optimizer)
        schedule.step()
        with torch.no_grad():
            test = run_epoch(model, x_test, y_test)
        print(f"epoch {epoch + 1:2d} train {train:.4f} test {test:.4f}")
    print(f"explained variance {1 - test / y_test.var().item():.4f}")


if __name__ == "__main__":
    main()
