# %% [markdown]
# # Mini-project: electricity of the lecture hall, six hours ahead

# %%
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(2024)
rng = np.random.default_rng(2024)

# %%  hourly record
hours = np.arange(24 * 150)
hod, dow = hours % 24, (hours // 24) % 7
lectures = ((hod >= 8) & (hod < 18) & (dow < 5)).astype(float)
occupancy = lectures * (0.6 + 0.4 * np.sin(np.pi * (hod - 8) / 10)) * rng.uniform(0.7, 1.1, len(hours))
weather = np.zeros(len(hours))
for i in range(1, len(hours)):
    weather[i] = 0.985 * weather[i - 1] + 0.15 * rng.standard_normal()
cold = np.clip(1.0 - 0.6 * np.cos(2 * np.pi * (hod - 15) / 24) + weather, 0, None)
power = 12 + 30 * occupancy + 9 * cold * (0.4 + 0.6 * (hod >= 6)) + 1.5 * rng.standard_normal(len(hours))

# %%  channels: power, temperature proxy, sine and cosine of the hour, weekend
split = int(len(hours) * 0.75)
mean, std = power[:split].mean(), power[:split].std()
channels = np.stack([
    (power - mean) / std,
    (cold - cold[:split].mean()) / cold[:split].std(),
    np.sin(2 * np.pi * hod / 24),
    np.cos(2 * np.pi * hod / 24),
    (dow >= 5).astype(float),
]).astype(np.float32)
WINDOW, AHEAD = 72, 6


def windows(first, last):
    starts = np.arange(first, last - WINDOW - AHEAD)
    x = np.stack([channels[:, s:s + WINDOW] for s in starts])
    y = np.stack([channels[0, s + WINDOW:s + WINDOW + AHEAD] for s in starts])
    return torch.from_numpy(x), torch.from_numpy(y)


x_train, y_train = windows(0, split)
x_val, y_val = windows(split, len(hours))
print(x_train.shape, x_val.shape)

# %%
model = nn.Sequential(
    nn.Conv1d(5, 32, 5, stride=2, padding=2), nn.ReLU(),
    nn.Conv1d(32, 32, 5, stride=2, padding=2), nn.ReLU(),
    nn.Flatten(),
    nn.Linear(32 * WINDOW // 4, 64), nn.ReLU(),
    nn.Linear(64, AHEAD),
)
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)

# %%
EPOCHS, BATCH = 12, 64
history = []
for epoch in range(EPOCHS):
    model.train()
    perm = torch.randperm(len(x_train))
    for i in range(0, len(perm), BATCH):
        idx = perm[i:i + BATCH]
        optimizer.zero_grad()
        loss = loss_fn(model(x_train[idx]), y_train[idx])
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    scheduler.step()

    model.eval()
    with torch.no_grad():
        mae = (model(x_val) - y_val).abs().mean().item() * std
    print(f"epoch {epoch + 1}: train {np.mean(history[-40:]):.4f}, val MAE {mae:.3f} kW")
