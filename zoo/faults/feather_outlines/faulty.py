import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(19)
np.random.seed(19)

H, W = 20, 12


def feather():
    """Black and white silhouette: length, breadth, bend and a possible notch vary."""
    length = np.random.uniform(10, 18)
    breadth = np.random.uniform(1.5, 4.5)
    bend = np.random.uniform(-3, 3)
    lean = np.random.uniform(0.6, 1.6)
    img = np.zeros((H, W), dtype=np.float32)
    top = (H - length) / 2
    for y in range(H):
        t = (y - top) / length
        if 0 <= t <= 1:
            centre = W / 2 - 0.5 + bend * (t - 0.5) ** 2 * 2 - bend * 0.25
            half = breadth * np.sin(np.pi * t ** lean)
            x = np.arange(W)
            img[y, (x > centre - half) & (x < centre + half)] = 1.0
    if np.random.rand() < 0.4:
        y = int(np.random.uniform(top + 4, top + length - 4))
        img[y:y + 2, W // 2:] = 0.0
    return img.ravel()


class FeatherVAE(nn.Module):
    def __init__(self, hidden=128, latent=6):
        super().__init__()
        self.enc1 = nn.Linear(H * W, hidden)
        self.enc2 = nn.Linear(hidden, hidden)
        self.mu = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)
        self.dec1 = nn.Linear(latent, hidden)
        self.dec2 = nn.Linear(hidden, hidden)
        self.pixels = nn.Linear(hidden, H * W)

    def encode(self, x):
        h = F.relu(self.enc1(x))
        h = F.relu(self.enc2(h))
        return F.relu(self.mu(h)), F.relu(self.logvar(h))

    def decode(self, z):
        h = F.relu(self.dec1(z))
        h = F.relu(self.dec2(h))
        return self.pixels(h)

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decode(z), mu, logvar


class VAETrainer:
    def __init__(self, model, train_x, test_x, lr=1e-3, batch_size=64):
        self.model, self.train_x, self.test_x = model, train_x, test_x
        self.batch_size = batch_size
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)

    @staticmethod
    def terms(logits, x, mu, logvar):
        rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1).mean()
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()
        return rec, kl

    def train_epoch(self):
        self.model.train()
        sums = np.zeros(2)
        for idx in torch.randperm(len(self.train_x)).split(self.batch_size):
            x = self.train_x[idx]
            rec, kl = self.terms(*self._pack(x))
            loss = rec + kl
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            sums += np.array([rec.item(), kl.item()]) * len(idx)
        return sums / len(self.train_x)

    def _pack(self, x):
        logits, mu, logvar = self.model(x)
        return logits, x, mu, logvar

    @torch.no_grad()
    def bound(self, samples=5):
        self.model.eval()
        values = [sum(self.terms(*self._pack(self.test_x))).item() for _ in range(samples)]
        return float(np.mean(values))

    def run(self, epochs=40):
        for epoch in range(1, epochs + 1):
            rec, kl = self.train_epoch()
            if epoch % 8 == 0:
                print(f"epoch {epoch:2d}  reconstruction {rec:7.2f}  kl {kl:6.2f}  test bound {self.bound():7.2f}")


data = torch.from_numpy(np.stack([feather() for _ in range(2600)]))
train_x, test_x = data[:2200], data[2200:]
p = train_x.mean(0).clamp(1e-3, 1 - 1e-3)
naive = F.binary_cross_entropy(p.expand_as(test_x), test_x, reduction="none").sum(1).mean().item()
trainer = VAETrainer(FeatherVAE(), train_x, test_x)
trainer.run()
print(f"independent pixels: {naive:.2f} nats")
print(f"negative test bound: {trainer.bound():.2f} nats")
