# Are two signatures by the same hand? Pairs of pen traces, one encoder for both.
import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

rng = np.random.default_rng(17)
torch.manual_seed(17)

STEPS, HARMONICS = 48, 5


def new_writers(n):
    return rng.normal(size=(n, 2, HARMONICS, 2)) / (1 + np.arange(HARMONICS))[None, None, :, None]


def sign(style):
    """Traces (n, 2, STEPS) of the writers: their own curve, drawn a little differently each time."""
    n = len(style)
    own = style + 0.12 * rng.normal(size=style.shape)
    t = np.linspace(0, 2 * np.pi, STEPS)[None] + 0.35 * rng.normal(size=(n, 1))
    k = np.arange(1, HARMONICS + 1)[None, :, None]
    waves = np.stack([np.sin(k * t[:, None]), np.cos(k * t[:, None])], axis=2)  # n, H, 2, T
    trace = np.einsum("nchp,nhpt->nct", own, waves)
    trace += 0.15 * rng.normal(size=trace.shape)
    return trace / trace.std(axis=(1, 2), keepdims=True)


def pairs(writers, n):
    a = rng.integers(len(writers), size=n)
    other = (a + rng.integers(1, len(writers), size=n)) % len(writers)
    same = rng.random(n) < 0.5
    b = np.where(same, a, other)
    to = lambda v: torch.tensor(v, dtype=torch.float32)
    return to(sign(writers[a])), to(sign(writers[b])), to(same)


class TraceEncoder(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(2, 24, 7, padding=3), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(24, 32, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2),
        )
        self.head = nn.Sequential(nn.Linear(32 * STEPS // 4, 64), nn.ReLU(), nn.Linear(64, dim))

    def forward(self, x):
        return self.head(self.conv(x).flatten(1))


known, unknown = new_writers(150), new_writers(60)
test_a, test_b, test_same = pairs(unknown, 600)
encoder = TraceEncoder()
criterion = nn.CosineEmbeddingLoss(margin=0.2)
optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)

for step in range(1, 401):
    a, b, same = pairs(known, 48)
    loss = criterion(encoder(a), encoder(b), 2 * same - 1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 0:
        encoder.eval()
        with torch.no_grad():
            cos = nn.functional.cosine_similarity(encoder(test_a), encoder(test_b))
        encoder.train()
        auc = roc_auc_score(test_same.numpy(), cos.numpy())
        print(f"{step:4d}  loss {loss.item():.4f}  strangers' auc {auc:.4f}")
