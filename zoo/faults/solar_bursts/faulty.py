"""Classification of solar radio bursts with an encoder trained on the emission model.

Step 1: many synthetic bursts from the kinetic model; the encoder regresses (log rise, log decay, log frequency).
Step 2: few events labelled by eye by observers; only the read-out is estimated, the encoder is held fixed.
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(23)
rng = np.random.default_rng(23)
T = 128
t_grid = np.arange(T)


def burst(theta, noise):
    """theta = (log rise, log decay, log quasi-period); onset and polarity are nuisance parameters."""
    rise, decay, period = np.exp(theta).T[:, :, None]
    onset = rng.uniform(5, 50, (len(theta), 1))
    u = np.clip(t_grid[None] - onset, 0, None)
    envelope = (1 - np.exp(-u / rise)) * np.exp(-u / decay)
    flux = envelope * (1 + 0.5 * np.sin(2 * np.pi * u / period)) * rng.choice([-1, 1], (len(theta), 1))
    flux = flux / np.abs(flux).max(1, keepdims=True)
    return (flux + noise * rng.standard_normal(flux.shape)).astype(np.float32)[:, None]


def synthetic(n):
    theta = rng.uniform(np.log([2, 8, 4]), np.log([12, 50, 16]), (n, 3))
    Y = (theta - theta.mean(0)) / theta.std(0)
    return torch.from_numpy(burst(theta, 0.1)), torch.from_numpy(Y.astype(np.float32))


def observed(n):
    """Four observers' types: impulsive / gradual, with short or long pulsations."""
    kind = rng.integers(0, 4, n)
    centre = np.log([[4, 16, 6], [4, 16, 11], [8, 32, 6], [8, 32, 11]])[kind]
    theta = centre + rng.normal(0, [0.3, 0.2, 0.15], (n, 3))
    return torch.from_numpy(burst(theta, 0.15)), torch.from_numpy(kind)


class Encoder(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(1, 16, 9, stride=2, padding=4), nn.ReLU(),
                                  nn.Conv1d(16, 32, 7, stride=2, padding=3), nn.ReLU(),
                                  nn.Conv1d(32, 32, 5, stride=2, padding=2), nn.ReLU())
        self.proj = nn.Linear(64, d)

    def forward(self, x):
        h = self.conv(x)
        return torch.relu(self.proj(torch.cat([h.mean(2), h.amax(2)], dim=1)))


class Net(nn.Module):
    def __init__(self, encoder, d, n_out):
        super().__init__()
        self.encoder, self.readout = encoder, nn.Linear(d, n_out)

    def forward(self, x):
        return self.readout(self.encoder(x))


def glorot(m):
    if isinstance(m, (nn.Linear, nn.Conv1d)):
        nn.init.xavier_uniform_(m.weight)
        nn.init.zeros_(m.bias)


class Trainer:
    """Minimises loss_fn over the parameters of net that require a gradient."""

    def __init__(self, net, loss_fn, lr, batch, init=glorot):
        self.net, self.loss_fn, self.batch = net, loss_fn, batch
        if init is not None:
            self.net.apply(init)
        self.opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=lr)

    def run(self, X, Y, epochs, label):
        self.net.train()
        for ep in range(epochs):
            losses = []
            for rows in torch.randperm(len(X)).split(self.batch):
                loss = self.loss_fn(self.net(X[rows]), Y[rows])
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                losses.append(loss.item())
            if (ep + 1) % max(1, epochs // 4) == 0:
                print(f"{label} {ep + 1:3d}  loss {np.mean(losses):.4f}")

    @torch.no_grad()
    def accuracy(self, X, Y):
        self.net.eval()
        return (self.net(X).argmax(1) == Y).float().mean().item()


D = 32
X_s, Y_s = synthetic(3000)
X_o, k_o = observed(80)
X_v, k_v = observed(1000)

encoder = Encoder(D)
physics = Trainer(Net(encoder, D, 3), nn.MSELoss(), lr=1e-3, batch=64)
physics.run(X_s, Y_s, 10, "emission model")

for p in encoder.parameters():
    p.requires_grad_(False)
events = Trainer(Net(encoder, D, 4), nn.CrossEntropyLoss(), lr=1e-2, batch=20)
events.run(X_o, k_o, 60, "observed events")
print(f"test accuracy {events.accuracy(X_v, k_v):.4f}")
