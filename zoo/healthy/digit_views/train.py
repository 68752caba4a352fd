import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import DataLoader, Dataset


class TwoViews(Dataset):
    """Each item is the same picture, disturbed twice."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def disturb(self, img):
        dy, dx = torch.randint(-1, 2, (2,)).tolist()
        img = torch.roll(img, (dy, dx), (1, 2))
        img = img * (0.7 + 0.6 * torch.rand(1)) + 0.08 * torch.randn_like(img)
        r, c = torch.randint(0, 6, (2,)).tolist()
        img[:, r : r + 2, c : c + 2] = 0
        return img

    def __getitem__(self, i):
        return self.disturb(self.images[i]), self.disturb(self.images[i])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Flatten(), nn.Linear(512, 64),
        )
        self.projector = nn.Sequential(nn.ReLU(), nn.Linear(64, 32))

    def forward(self, x):
        return self.projector(self.trunk(x))


def nt_xent(za, zb, temperature=0.3):
    z = F.normalize(torch.cat([za, zb]), dim=1)
    sim = z @ z.T / temperature
    sim.fill_diagonal_(float("-inf"))
    n = len(za)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(sim, partner)


def features(encoder, x):
    """What comes out of the trunk, before the projector."""
    kept = []
    handle = encoder.trunk.register_forward_hook(lambda module, args, output: kept.append(output))
    encoder.eval()
    with torch.no_grad():
        encoder(x)
    encoder.train()
    handle.remove()
    return kept[0]


def probe(encoder, x_few, y_few, x_test, y_test):
    few, test = features(encoder, x_few), features(encoder, x_test)
    clf = LogisticRegression(max_iter=500).fit(few, y_few)
    return clf.score(test, y_test)


def main():
    torch.manual_seed(0)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(digits.target)
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    unlabelled, x_test, y_test = x[:1300], x[1300:], y[1300:]
    few = slice(0, 60)

    loader = DataLoader(TwoViews(unlabelled), batch_size=130, shuffle=True, drop_last=True)
    net = Encoder()
    opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    epochs = 18
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * len(loader))
    for epoch in range(epochs):
        mean = 0.0
        for a, b in loader:
            loss = nt_xent(net(a), net(b))
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            mean += loss.item() / len(loader)
        if epoch % 3 == 2:
            acc = probe(net, x[few], y[few], x_test, y_test)
            print(f"epoch {epoch + 1} loss {mean:.3f} probe accuracy with 60 labels {acc:.3f}")
    raw = LogisticRegression(max_iter=500).fit(x[few].flatten(1), y[few]).score(x_test.flatten(1), y_test)
    print(f"pixels alone: {raw:.3f}, learned features: {probe(net, x[few], y[few], x_test, y_test):.3f}")


main()
