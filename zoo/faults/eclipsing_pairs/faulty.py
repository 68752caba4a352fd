"""Variational autoencoder of folded light curves of eclipsing binaries.

The survey gives, for every star, irregular epochs (Julian date) and normalised flux, plus the ephemeris (T0, P) from
the catalogue. Flux is folded at the orbital period, averaged in phase bins, and the VAE learns the family of curves.
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(77)
np.random.seed(77)

N_STAR, N_OBS, N_BIN = 1500, 240, 32


def survey(n, n_obs, sigma):
    """Epochs JD (n, n_obs), flux, and the ephemeris of each star."""
    P = np.random.uniform(0.25, 0.6, (n, 1))
    T0 = 2459000.5 + np.random.uniform(0, 1, (n, 1))
    night = np.random.randint(0, 420, (n, n_obs))
    JD = 2459000.5 + night + np.random.uniform(0.1, 0.9, (n, n_obs))
    phi = ((JD - T0) / P) % 1.0
    d1, q = np.random.uniform(0.2, 0.6, (n, 1)), np.random.uniform(0.2, 1.0, (n, 1))
    width, ell = np.random.uniform(0.03, 0.08, (n, 1)), np.random.uniform(0.0, 0.15, (n, 1))
    dip = lambda c: np.exp(-0.5 * (((phi - c + 0.5) % 1.0 - 0.5) / width) ** 2)
    flux = 1.0 - d1 * dip(0.0) - q * d1 * dip(0.5) - ell * np.cos(4 * np.pi * phi)
    return JD, flux + sigma * np.random.randn(n, n_obs), T0, P


def fold(JD, flux, T0, P, n_bin):
    """Mean flux per phase bin; an empty bin takes the star's mean."""
    JD, T0, P = (torch.tensor(a, dtype=torch.float32) for a in (JD, T0, P))
    F = torch.tensor(flux, dtype=torch.float32)
    phase = torch.remainder((JD - T0) / P, 1.0)
    b = (phase * n_bin).long().clamp(max=n_bin - 1)
    total = torch.zeros(len(F), n_bin).scatter_add_(1, b, F)
    count = torch.zeros(len(F), n_bin).scatter_add_(1, b, torch.ones_like(F))
    return torch.where(count > 0, total / count.clamp(min=1), F.mean(1, keepdim=True))


class LightCurveVAE(nn.Module):
    def __init__(self, n_bin, d_hidden, d_z):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(n_bin, d_hidden), nn.SiLU(), nn.Linear(d_hidden, d_hidden), nn.SiLU())
        self.mu, self.logvar = nn.Linear(d_hidden, d_z), nn.Linear(d_hidden, d_z)
        self.dec = nn.Sequential(nn.Linear(d_z, d_hidden), nn.SiLU(), nn.Linear(d_hidden, d_hidden), nn.SiLU(),
                                 nn.Linear(d_hidden, n_bin))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu) if self.training else mu
        return self.dec(z), mu, logvar


class VAETrainer:
    """Negative ELBO with Gaussian likelihood of fixed width s."""

    def __init__(self, model, lr, batch, s):
        self.model, self.batch, self.s = model, batch, s
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def negative_elbo(self, X):
        X_hat, mu, logvar = self.model(X)
        rec = 0.5 * ((X - X_hat) / self.s).pow(2).sum(1)
        kl = 0.5 * (mu.pow(2) + logvar.exp() - 1.0 - logvar).sum(1)
        return (rec + kl).mean()

    def fit(self, X, epochs):
        for ep in range(epochs):
            self.model.train()
            history = []
            for rows in torch.randperm(len(X)).split(self.batch):
                loss = self.negative_elbo(X[rows])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                history.append(loss.item())
            if (ep + 1) % 10 == 0:
                print(f"epoch {ep + 1:3d}  -ELBO {np.mean(history):.3f}")

    @torch.no_grad()
    def explained(self, X):
        self.model.eval()
        X_hat, _, _ = self.model(X)
        return 1.0 - ((X - X_hat) ** 2).mean().item() / ((X - X.mean(0)) ** 2).mean().item()


JD, flux, T0, P = survey(N_STAR, N_OBS, sigma=0.02)
X = fold(JD, flux, T0, P, N_BIN)
X_train, X_test = X[:1200], X[1200:]
mean, scale = X_train.mean(0), X_train.std()
X_train, X_test = (X_train - mean) / scale, (X_test - mean) / scale
print(f"{len(X_train)} training stars, mean peak-to-peak flux {(X.amax(1) - X.amin(1)).mean():.3f}")

trainer = VAETrainer(LightCurveVAE(N_BIN, d_hidden=64, d_z=4), lr=2e-3, batch=50, s=0.3)
trainer.fit(X_train, epochs=40)
print(f"train variance explained {trainer.explained(X_train):.4f}")
print(f"test variance explained {trainer.explained(X_test):.4f}")
