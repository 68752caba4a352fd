"""Individual signatures in cricket chirps: an embedding from pairs of chirps of the same male.

Each male has a carrier, a syllable rate and a harmonic profile; temperature and distance to the microphone change from
chirp to chirp. NT-Xent objective on pairs, then identification of unknown males by one enrolled chirp each.
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(440)

N_FREQ = 64


def males(n):
    """Traits (n, 10): carrier, bandwidth, syllable rate and seven harmonic levels."""
    return torch.randn(n, 10)


def record(traits, sigma):
    """Log power spectrum of one chirp per male: pitch follows temperature, level follows distance."""
    n = len(traits)
    f = torch.linspace(0, 1, N_FREQ)
    temperature, distance = torch.randn(n, 1), torch.rand(n, 1)
    base = 0.10 + 0.012 * traits[:, :1] + 0.004 * temperature
    width = 0.018 * torch.exp(0.2 * traits[:, 1:2])
    S = torch.full((n, N_FREQ), 0.02)
    for k in range(7):
        level = torch.exp(0.5 * traits[:, 3 + k:4 + k] - 0.25 * k - 1.2 * distance * f)
        S = S + level * torch.exp(-0.5 * ((f - (k + 1) * base) / width) ** 2)
    S = S * (1 + 0.4 * torch.cos(2 * math.pi * f * (6 + traits[:, 2:3])))
    return torch.log(S.clamp(min=1e-3)) + sigma * torch.randn(n, N_FREQ)


def make_encoder(n_freq, d_hidden, d_embed):
    return nn.Sequential(nn.Linear(n_freq, d_hidden), nn.ReLU(), nn.Linear(d_hidden, d_hidden), nn.ReLU(),
                         nn.Linear(d_hidden, d_embed))


def nt_xent(Z_a, Z_b, tau):
    """-log exp(<z_i, z_j>/tau) / sum_{k != i} exp(<z_i, z_k>/tau), over the 2n chirps of the batch."""
    n = len(Z_a)
    Z = F.normalize(torch.cat([Z_a, Z_b]), dim=1)
    S = Z @ Z.T / tau
    S = S.masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
    partner = (torch.arange(2 * n) + n) % (2 * n)
    return F.cross_entropy(S, partner)


def identify(encoder, enrolled, probe):
    """Nearest enrolled chirp by cosine; share of probes given to the right male."""
    encoder.eval()
    with torch.no_grad():
        E, P = F.normalize(encoder(enrolled), dim=1), F.normalize(encoder(probe), dim=1)
    return ((P @ E.T).argmax(1) == torch.arange(len(P))).float().mean().item()


def train(encoder, X_a, X_b, n_epochs, batch, lr, weight_decay, tau, enrolled, probe):
    optimizer = torch.optim.Adam(encoder.parameters(), lr=lr, betas=(0.9, 0.98), eps=1e-6,
                                 weight_decay=weight_decay)
    for epoch in range(n_epochs):
        encoder.train()
        total, n_b = 0.0, 0
        perm = torch.randperm(len(X_a))
        for k in range(0, len(perm) - batch + 1, batch):
            rows = perm[k:k + batch]
            loss = nt_xent(encoder(X_a[rows]), encoder(X_b[rows]), tau)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, n_b = total + loss.item(), n_b + 1
        if (epoch + 1) % 4 == 0:
            print(f"epoch {epoch + 1:2d}  NT-Xent {total / n_b:.4f}  identified {identify(encoder, enrolled, probe):.3f}")
    return encoder


traits = males(4800)
X_a, X_b = record(traits, 0.3), record(traits, 0.3)
unknown = males(200)
enrolled, probe = record(unknown, 0.3), record(unknown, 0.3)

mu, sd = X_a.mean(0), X_a.std(0)
X_a, X_b, enrolled, probe = ((X - mu) / sd for X in (X_a, X_b, enrolled, probe))
print(f"raw spectra identify {identify(nn.Identity(), enrolled, probe):.3f}")

encoder = train(make_encoder(N_FREQ, 128, 32), X_a, X_b, n_epochs=12, batch=96, lr=1e-3, weight_decay=1e-4, tau=10.0,
                enrolled=enrolled, probe=probe)
print(f"identified males {identify(encoder, enrolled, probe):.4f}")
