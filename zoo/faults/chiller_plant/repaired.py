# %% Chiller plant: power, supply temperature and COP alarm from one net
import os, random
import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import TensorDataset, DataLoader

SEED = int(os.environ.get('SEED', '0'))
random.seed(SEED); np.random.seed(SEED); torch.manual_seed(SEED)
torch.set_num_threads(1)

# %% data
N = 4500
cols = ['t_out', 'load', 'flow', 't_return', 'fan', 'valve', 'stage', 'hours']
X = np.random.uniform(-1, 1, (N, len(cols)))
t_out, load, flow, t_ret, fan, valve, stage, hours = X.T
power = np.sin(2.5 * load) * (1 + t_out) + 1.5 * load * stage - fan * t_out + 0.6 * np.cos(3 * flow)
supply = t_ret * valve * 2 + np.abs(load - flow) - np.cos(2 * t_out) + 0.8 * stage ** 2
noise = np.random.normal(0, 0.12, (N, 2))
Y = np.stack([power, supply], 1) + noise
alarm = ((np.abs(power) + 0.7 * hours * supply + np.random.normal(0, 0.1, N)) > 1.4).astype(np.float32)

n_train = 3300
mu, sd = Y[:n_train].mean(0), Y[:n_train].std(0)
Y = (Y - mu) / sd
X, Y, alarm = (torch.tensor(a, dtype=torch.float32) for a in (X, Y, alarm))
train_dl = DataLoader(TensorDataset(X[:n_train], Y[:n_train], alarm[:n_train]), batch_size=64, shuffle=True)
X_test, Y_test, alarm_test = X[n_train:], Y[n_train:], alarm[n_train:]
print('alarm rate', round(alarm.mean().item(), 3))


# %% model
class PlantNet(nn.Module):
    """Common trunk of any depth, one head for the values and one for the alarm."""

    def __init__(self, n_in, widths=(64, 64, 48), n_values=2):
        super().__init__()
        self.layers = nn.ModuleList()
        last = n_in
        for w in widths:
            self.layers.append(nn.Linear(last, w))
            last = w
        self.act = nn.Tanh()
        self.values = nn.Linear(last, n_values)
        self.alarm = nn.Linear(last, 1)

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.values(x), self.alarm(x).squeeze(1)


model = PlantNet(len(cols))
mse, bce = nn.MSELoss(), nn.BCEWithLogitsLoss()
optimizer = optim.Adam(model.parameters(), lr=3e-3)
scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=4)


# %% evaluation
def evaluate():
    model.eval()
    with torch.no_grad():
        v, a = model(X_test)
    model.train()
    r2 = 1 - ((v - Y_test) ** 2).mean(0) / Y_test.var(0)
    hit = ((a > 0).float() == alarm_test).float().mean()
    loss = mse(v, Y_test) + 0.5 * bce(a, alarm_test)
    return loss.item(), r2, hit.item()


# %% training
for epoch in range(20):
    total = 0.
    for xb, yb, ab in train_dl:
        optimizer.zero_grad()
        v, a = model(xb)
        loss = mse(v, yb) + 0.5 * bce(a, ab)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    val_loss, r2, hit = evaluate()
    scheduler.step(total / n_train)
    if epoch % 4 == 0:
        print(f'{epoch:3d} train {total / n_train:.4f} val {val_loss:.4f} '
              f'r2 power {r2[0]:.3f} supply {r2[1]:.3f} alarm acc {hit:.3f}')

val_loss, r2, hit = evaluate()
print(f'alarm accuracy {hit:.4f}')
print(f'mean R2 {r2.mean():.4f}')
