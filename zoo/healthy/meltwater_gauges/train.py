# Five-day forecast of a meltwater stream.  Years 1-6 train, year 7 for choosing, year 8 to report.
import copy

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(21)
rng = np.random.default_rng(21)
PAST, AHEAD = 30, 5

# --- eight years of weather and a bucket model of the glacier
days = np.arange(8 * 365)
season = np.sin(2 * np.pi * (days - 110) / 365)
weather = np.zeros(len(days))
for d in range(1, len(days)):
    weather[d] = 0.8 * weather[d - 1] + rng.normal(0, 2.0)
temp = 2 + 10 * season + weather
rain = rng.gamma(0.5, 6, len(days)) * (rng.random(len(days)) < 0.3)
snow, store, flow = 80.0, 5.0, np.zeros(len(days))
for d in range(len(days)):
    snow += rain[d] if temp[d] < 0 else 0.0
    melt = min(snow, 1.5 * max(temp[d], 0)) + 0.4 * max(temp[d] - 5, 0)
    snow = max(snow - melt, 0.0)
    store += melt + (rain[d] if temp[d] >= 0 else 0.0)
    flow[d] = 0.15 * store * np.exp(rng.normal(0, 0.04))
    store *= 0.85
forecast_temp = temp + rng.normal(0, 1.0, len(days))
forecast_rain = rain * np.exp(rng.normal(0, 0.3, len(days)))
log_flow = np.log1p(flow)

history = np.column_stack([log_flow, temp, np.log1p(rain), season, np.cos(2 * np.pi * (days - 110) / 365)])
outlook = np.column_stack([forecast_temp, np.log1p(forecast_rain)])
fit_days = slice(0, 6 * 365)
history = (history - history[fit_days].mean(0)) / history[fit_days].std(0)
outlook = (outlook - outlook[fit_days].mean(0)) / outlook[fit_days].std(0)
flow_mean, flow_std = log_flow[fit_days].mean(), log_flow[fit_days].std()


def windows(first, last):
    """Windows whose target days all lie in [first, last)."""
    starts = range(max(first, PAST), last - AHEAD + 1)
    past = np.stack([history[s - PAST:s] for s in starts])
    ahead = np.stack([outlook[s:s + AHEAD].ravel() for s in starts])
    target = np.stack([history[s:s + AHEAD, 0] for s in starts])
    return [torch.tensor(a, dtype=torch.float32) for a in (past, ahead, target)]


train = windows(0, 6 * 365)
val = windows(6 * 365, 7 * 365)
test = windows(7 * 365, 8 * 365)


class StreamGRU(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(history.shape[1], hidden, batch_first=True)
        self.head = nn.Sequential(nn.Linear(hidden + 2 * AHEAD, 64), nn.ReLU(), nn.Linear(64, AHEAD))

    def forward(self, past, ahead):
        _, h = self.gru(past)
        change = self.head(torch.cat([h[-1], ahead], dim=1))
        return past[:, -1:, 0] + change


model = StreamGRU()
loader = DataLoader(TensorDataset(*train), batch_size=64, shuffle=True)
epochs = 14
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-4, weight_decay=1e-2)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * len(loader))
loss_fn = nn.MSELoss()
best_val, best_state = float("inf"), None

for epoch in range(epochs):
    model.train()
    running = 0.0
    for past, ahead, target in loader:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_fn(model(past, ahead), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        scheduler.step()
        running += loss.item() * len(past)
    model.eval()
    with torch.no_grad():
        val_loss = loss_fn(model(val[0], val[1]), val[2]).item()
    if val_loss < best_val:
        best_val, best_state = val_loss, copy.deepcopy(model.state_dict())
    print(f"epoch {epoch:2d}  train {running / len(train[0]):.4f}  val {val_loss:.4f}")

model.load_state_dict(best_state)
model.eval()
with torch.no_grad():
    predicted = model(test[0], test[1])
persistence = test[0][:, -1:, 0].expand(-1, AHEAD)
rmse = (predicted - test[2]).pow(2).mean(0).sqrt() * flow_std
naive = (persistence - test[2]).pow(2).mean(0).sqrt() * flow_std
for step in range(AHEAD):
    print(f"day +{step + 1}: RMSE of log flow {rmse[step]:.3f}, persistence {naive[step]:.3f}")
skill = 1 - ((predicted - test[2]) ** 2).mean() / ((persistence - test[2]) ** 2).mean()
print(f"skill over persistence in the last year: {skill.item():.3f}")
