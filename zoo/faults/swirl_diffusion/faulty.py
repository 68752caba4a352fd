import argparse

import torch
import torch.nn as nn
from sklearn.datasets import make_swiss_roll


def get_args():
    p = argparse.ArgumentParser()
    p.add_argument("--steps", type=int, default=900)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--lr", type=float, default=1e-6)
    p.add_argument("--T", type=int, default=40)
    p.add_argument("--seed", type=int, default=14)
    return p.parse_args()


class NoisePredictor(nn.Module):
    def __init__(self, T, width=96):
        super().__init__()
        self.time = nn.Embedding(T, 16)
        self.net = nn.Sequential(
            nn.Linear(2 + 16, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2)
        )

    def forward(self, x, t):
        return self.net(torch.cat([x, self.time(t)], dim=1))


def spiral(n, seed):
    pts, _ = make_swiss_roll(n, noise=0.3, random_state=seed)
    pts = torch.tensor(pts[:, [0, 2]], dtype=torch.float32)
    return (pts - pts.mean(0)) / pts.std(0)


@torch.no_grad()
def generate(model, n, betas, abar):
    x = torch.randn(n, 2)
    for t in reversed(range(len(betas))):
        eps = model(x, torch.full((n,), t))
        x = (x - betas[t] / (1 - abar[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
        if t:
            x = x + betas[t].sqrt() * torch.randn_like(x)
    return x


def main():
    args = get_args()
    torch.manual_seed(args.seed)
    data = spiral(4000, args.seed)
    betas = torch.linspace(1e-3, 0.2, args.T)
    abar = torch.cumprod(1 - betas, 0)
    model = NoisePredictor(args.T)
    opt = torch.optim.AdamW(model.parameters(), lr=args.lr)
    avg = None
    for step in range(1, args.steps + 1):
        x0 = data[torch.randint(0, len(data), (args.batch,))]
        t = torch.randint(0, args.T, (args.batch,))
        noise = torch.randn_like(x0)
        a = abar[t].unsqueeze(1)
        loss = nn.functional.mse_loss(model(a.sqrt() * x0 + (1 - a).sqrt() * noise, t), noise)
        opt.zero_grad()
        loss.backward()
        opt.step()
        avg = loss.item() if avg is None else 0.98 * avg + 0.02 * loss.item()
        if step % 150 == 0:
            print(f"step {step} noise mse {avg:.4f}")
    fake = generate(model, 1000, betas, abar)
    print(f"nearest data point {torch.cdist(fake, data).min(1).values.mean():.4f}")


main()
