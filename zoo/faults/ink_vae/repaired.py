import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self, pixels=64, hidden=128, z=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(pixels, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.mu, self.logvar = nn.Linear(hidden, z), nn.Linear(hidden, z)
        self.dec = nn.Sequential(
            nn.Linear(z, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, pixels)
        )

    def encode(self, x):
        h = self.enc(2 * x - 1)
        return self.mu(h), self.logvar(h).clamp(-8, 8)

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.dec(z), mu, logvar


class VAETrainer:
    def __init__(self, model, train, test, lr=3e-3, kl_weight=1 / 64, batch=100):
        self.model, self.train_x, self.test_x = model, train, test
        self.kl_weight, self.batch = kl_weight, batch
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)

    def loss(self, x):
        logits, mu, logvar = self.model(x)
        rec = F.binary_cross_entropy_with_logits(logits, x)
        kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1).mean()
        return rec + self.kl_weight * kl, rec, kl

    def epoch(self):
        self.model.train()
        for idx in torch.randperm(len(self.train_x)).split(self.batch):
            loss, _, _ = self.loss(self.train_x[idx])
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()

    @torch.no_grad()
    def report(self, epoch):
        self.model.eval()
        _, rec, kl = self.loss(self.test_x)
        mu, _ = self.model.encode(self.test_x)
        shown = self.model.dec(mu).sigmoid()
        rmse = F.mse_loss(shown, self.test_x).sqrt()
        print(f"epoch {epoch:3d}  rec {rec:.4f}  kl {kl:.3f}  rmse {rmse:.4f}")

    def fit(self, epochs):
        for e in range(1, epochs + 1):
            self.epoch()
            if e % 10 == 0:
                self.report(e)


torch.manual_seed(2)
images = torch.tensor(load_digits().data, dtype=torch.float32) / 16
images = images[torch.randperm(len(images))]
trainer = VAETrainer(VAE(), images[:1400], images[1400:])
trainer.fit(60)
