"""Recommending by a multinomial autoencoder (Liang et al. 2018): one distribution over items explains a basket."""

import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
U, I, G = 1500, 80, 6
taste = torch.distributions.Dirichlet(torch.full((G,), 0.3)).sample((U,))
topics = torch.distributions.Dirichlet(torch.full((I,), 0.1)).sample((G,))
baskets = torch.zeros(U, I)
baskets.scatter_(1, torch.multinomial(taste @ topics, 12, replacement=False), 1.0)
train, val = baskets[:1200], baskets[1200:]


class MultVAE(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.drop = nn.Dropout(0.4)
        self.enc = nn.Sequential(nn.Linear(I, 64), nn.Tanh(), nn.Linear(64, 2 * d))
        self.dec = nn.Sequential(nn.Linear(d, 64), nn.Tanh(), nn.Linear(64, I))

    def forward(self, x):
        mu, logvar = self.enc(self.drop(F.normalize(x))).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()
        return self.dec(z), kl


model = MultVAE()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
step = 0
for epoch in range(12):
    model.train()
    for (xb,) in DataLoader(TensorDataset(train), batch_size=50, shuffle=True):
        logits, kl = model(xb)
        loss = F.cross_entropy(logits, xb) + min(0.2, step / 1000) * kl
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
    model.eval()
    with torch.no_grad():
        hidden = val.clone()
        drop = (torch.rand_like(val) < 0.25) & (val > 0)
        hidden[drop] = 0
        scores = model(hidden)[0].masked_fill(hidden > 0, -1e9)
        top = scores.topk(10).indices
        recall = (drop.float().gather(1, top).sum(1) / drop.float().sum(1).clamp(1, 10))[drop.any(1)].mean()
    print(f"epoch {epoch} loss {loss.item():.3f} recall@10 {recall:.3f}")
