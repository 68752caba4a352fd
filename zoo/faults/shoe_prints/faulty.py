"""SimCLR for soles: two photographs of one shoe print should lie near each other, prints of other shoes far away."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

SIDE = 12


def draw_sole():
    """A random tread: bars in a random direction, with a few blocks."""
    yy, xx = np.mgrid[0:SIDE, 0:SIDE]
    angle, freq, phase = np.random.uniform(0, np.pi), np.random.uniform(0.7, 1.6), np.random.uniform(0, 6.28)
    img = 0.5 + 0.5 * np.sin(freq * (np.cos(angle) * xx + np.sin(angle) * yy) + phase)
    for _ in range(np.random.randint(1, 4)):
        r, c = np.random.randint(0, SIDE - 4, 2)
        img[r:r + 4, c:c + 3] = np.random.rand()
    return img.astype(np.float32)


def photograph(img):
    img = np.roll(img, np.random.randint(-1, 2, 2), axis=(0, 1))
    img = img * np.random.uniform(0.4, 1.0) + np.random.uniform(0, 0.4)
    return img + 0.06 * np.random.randn(SIDE, SIDE)


class TwoViews(Dataset):
    def __init__(self, soles):
        self.soles = soles

    def __len__(self):
        return len(self.soles)

    def __getitem__(self, i):
        pair = np.stack([photograph(self.soles[i]), photograph(self.soles[i])])
        return torch.tensor(pair, dtype=torch.float32)          # (2, SIDE, SIDE)


def build_encoder(dim=32):
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(24 * 9, 64), nn.ReLU(), nn.Linear(64, dim),
    )


def nt_xent(z1, z2, temperature=0.2):
    n = len(z1)
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    sim = z @ z.t() / temperature
    sim = sim.masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(sim, partner)


@torch.no_grad()
def retrieval(net, soles):
    """Share of prints whose second photograph is nearest to the first one, among all soles."""
    net.eval()
    first = torch.tensor(np.stack([photograph(s) for s in soles]), dtype=torch.float32).unsqueeze(1)
    second = torch.tensor(np.stack([photograph(s) for s in soles]), dtype=torch.float32).unsqueeze(1)
    a, b = F.normalize(net(first), dim=1), F.normalize(net(second), dim=1)
    return ((a @ b.t()).argmax(1) == torch.arange(len(soles))).float().mean().item()


def main(epochs=7, batch_size=64):
    torch.manual_seed(17)
    np.random.seed(17)
    soles = [draw_sole() for _ in range(1200)]
    train, test = soles[:1000], soles[1000:]
    loader = DataLoader(TwoViews(train), batch_size=batch_size, shuffle=True, drop_last=True)
    net = build_encoder()
    opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * len(loader))
    print(f"before training: retrieval {retrieval(net, test):.3f}")
    for epoch in range(epochs):
        net.train()
        losses = []
        for views in loader:
            z = net(views.view(-1, 1, SIDE, SIDE))          # both views through the network at once
            z1, z2 = z.chunk(2)
            loss = nt_xent(z1, z2)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, retrieval {retrieval(net, test):.3f}")
    print(f"final retrieval {np.mean([retrieval(net, test) for _ in range(5)]):.4f}")


if __name__ == "__main__":
    main()
