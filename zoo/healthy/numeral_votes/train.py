"""Capsules with routing by agreement (Sabour et al. 2017) on small digits."""

import torch
from torch import nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
y = torch.tensor(digits.target)
perm = torch.randperm(len(x))
train, test = perm[:1400], perm[1400:]
loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=64, shuffle=True)


def squash(s):
    sq = (s * s).sum(-1, keepdim=True)
    return sq / (1 + sq) * s / (sq + 1e-8).sqrt()


class Caps(nn.Module):
    def __init__(self, n_in=36, d_in=8, n_out=10, d_out=8, rounds=3):
        super().__init__()
        self.conv = nn.Conv2d(1, 64, 3)
        self.primary = nn.Conv2d(64, 32, 3, stride=2)
        self.w = nn.Parameter(0.1 * torch.randn(16, n_out, d_in, d_out))
        self.rounds = rounds

    def forward(self, x):
        h = self.primary(torch.relu(self.conv(x)))  # B, 32, 2, 2
        u = squash(h.view(h.shape[0], 4, 8, 4).transpose(2, 3).reshape(h.shape[0], 16, 8))
        votes = torch.einsum("bid,iodk->boik", u, self.w)  # B, out, in, d
        logits = votes.new_zeros(votes.shape[:3])
        for _ in range(self.rounds):
            c = torch.softmax(logits, dim=1)  # each capsule below divides itself among those above
            s = torch.matmul(c.unsqueeze(2), votes).squeeze(2)
            v = squash(s)
            logits = logits + torch.matmul(votes, v.unsqueeze(-1)).squeeze(-1)
        return v.norm(dim=-1)


def margin_loss(length, y):
    t = nn.functional.one_hot(y, 10).float()
    return (t * (0.9 - length).clamp_min(0) ** 2 + 0.5 * (1 - t) * (length - 0.1).clamp_min(0) ** 2).sum(1).mean()


net = Caps()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(6):
    for xb, yb in loader:
        loss = margin_loss(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        right = (net(x[test]).argmax(1) == y[test]).float().mean()
    print(f"epoch {epoch}: margin loss {loss.item():.4f}, right {right:.3f}")
