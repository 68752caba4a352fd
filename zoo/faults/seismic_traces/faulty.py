"""GAN that makes synthetic seismic traces (24 samples each), to enlarge the training set of a picker."""
import argparse

import numpy as np
import torch
import torch.nn as nn

LENGTH = 24


def record_traces(n: int) -> np.ndarray:
    t = np.arange(LENGTH)[None, :]
    arrival = np.random.uniform(2, 8, (n, 1))
    period = np.random.uniform(6, 10, (n, 1))
    amplitude = np.random.uniform(0.5, 0.9, (n, 1))
    decay = np.random.uniform(5, 9, (n, 1))
    after = np.clip(t - arrival, 0, None)
    wave = amplitude * np.exp(-after / decay) * np.sin(2 * np.pi * after / period)
    return (wave + 0.02 * np.random.randn(n, LENGTH)).astype(np.float32)


def weights_init(m):
    if isinstance(m, nn.Linear):
        nn.init.xavier_normal_(m.weight)
        nn.init.zeros_(m.bias)


class Generator(nn.Module):
    def __init__(self, z_dim):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(z_dim, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, LENGTH), nn.Tanh(),
        )

    def forward(self, z):
        return self.net(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(LENGTH, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, 1),
        )

    def forward(self, x):
        return self.net(x)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    mu_a, mu_b = a.mean(0), b.mean(0)
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    eig = np.linalg.eigvals(cov_a @ cov_b)
    return float(((mu_a - mu_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b)
                 - 2 * np.sqrt(np.clip(eig.real, 0, None)).sum())


def train(args):
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    real_data = torch.from_numpy(record_traces(2000))
    held_out = record_traces(1000)

    G, D = Generator(args.z_dim), Discriminator()
    G.apply(weights_init)
    D.apply(weights_init)
    opt_g = torch.optim.Adam(G.parameters(), lr=args.lr, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(D.parameters(), lr=args.lr, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    ones = torch.full((args.batch_size, 1), 0.9)          # one-sided label smoothing
    zeros = torch.zeros(args.batch_size, 1)
    fixed_z = torch.randn(1000, args.z_dim)

    for it in range(1, args.iterations + 1):
        real = real_data[torch.randint(len(real_data), (args.batch_size,))]
        z = torch.randn(args.batch_size, args.z_dim)

        # ---- discriminator: real up, fake down (its loss must not reach the generator) ----
        fake = G(z).detach()
        loss_d = criterion(D(real), ones) + criterion(D(fake), zeros)
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()

        # ---- generator: make the discriminator say "real" ----
        loss_g = criterion(D(fake), torch.ones_like(zeros))
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()

        if it % args.log_every == 0:
            with torch.no_grad():
                fd = frechet_distance(G(fixed_z).numpy(), held_out)
                p_real, p_fake = D(real).sigmoid().mean(), D(fake).sigmoid().mean()
            print(f"[{it}/{args.iterations}] loss_D {loss_d.item():.3f} loss_G {loss_g.item():.3f} "
                  f"D(real) {p_real:.2f} D(fake) {p_fake:.2f} FD {fd:.3f}")

    with torch.no_grad():
        made = G(torch.randn(1000, args.z_dim)).numpy()
    print(f"final frechet distance {frechet_distance(made, held_out):.4f}")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--z-dim", type=int, default=8)
    p.add_argument("--lr", type=float, default=8e-4)
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--iterations", type=int, default=1600)
    p.add_argument("--log-every", type=int, default=250)
    p.add_argument("--seed", type=int, default=21)
    train(p.parse_args())
