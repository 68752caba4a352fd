import numpy as np
import torch
from torch import nn


def mackey_glass(n, tau=17, seed=0, burn=300):
    rng = np.random.default_rng(seed)
    x = list(1.2 + 0.2 * (rng.random(tau + 1) - 0.5))
    for _ in range(n + burn):
        lag = x[-tau - 1]
        x.append(x[-1] + 0.2 * lag / (1 + lag**10) - 0.1 * x[-1])
    return np.array(x[-n:], dtype=np.float32)


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x, state=None):
        h, state = self.lstm(x, state)
        return x + self.out(h), state


STREAMS, CHUNK, AHEAD = 12, 20, 6
torch.manual_seed(4)
series = np.stack([mackey_glass(2000 + AHEAD, seed=s) for s in range(STREAMS + 4)], axis=1)
mean, std = series[:, :STREAMS].mean(), series[:, :STREAMS].std()
data = torch.from_numpy((series - mean) / std).unsqueeze(-1)
train, held = data[:, :STREAMS], data[:, STREAMS:]

model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
criterion = nn.MSELoss()

for epoch in range(1, 7):
    state, losses = None, []
    for start in range(0, 2000, CHUNK):
        x = train[start : start + CHUNK]
        y = train[start + AHEAD : start + CHUNK + AHEAD]
        if state is not None:
            state = tuple(s.detach() for s in state)
        prediction, state = model(x, state)
        loss = criterion(prediction, y)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        pred, _ = model(held[:-AHEAD])
        err = criterion(pred[100:], held[AHEAD:][100:]).item()
        naive = criterion(held[:-AHEAD][100:], held[AHEAD:][100:]).item()
    print(f"epoch {epoch}: train {np.mean(losses):.4f} held-out series {err:.4f} (last value again: {naive:.4f})")
print(f"skill {1 - err / naive:.3f}")
