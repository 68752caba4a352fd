"""Find the one bright shape in a noisy frame: what it is and where it is."""
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE = 32
KINDS = ("plate", "frame", "cross")


def draw(n, gen):
    frames = 0.3 * torch.randn(n, 1, SIZE, SIZE, generator=gen)
    kinds = torch.randint(0, len(KINDS), (n,), generator=gen)
    boxes = torch.zeros(n, 4)
    for i in range(n):
        w, h = torch.randint(9, 16, (2,), generator=gen).tolist()
        x0 = int(torch.randint(0, SIZE - w, (1,), generator=gen))
        y0 = int(torch.randint(0, SIZE - h, (1,), generator=gen))
        patch = torch.zeros(h, w)
        if kinds[i] == 0:
            patch[:] = 1
        elif kinds[i] == 1:
            patch[:2], patch[-2:], patch[:, :2], patch[:, -2:] = 1, 1, 1, 1
        else:
            patch[h // 2 - 1 : h // 2 + 1], patch[:, w // 2 - 1 : w // 2 + 1] = 1, 1
        frames[i, 0, y0 : y0 + h, x0 : x0 + w] += 1.5 * patch
        boxes[i] = torch.tensor([x0 + w / 2, y0 + h / 2, w, h])
    return frames, kinds, boxes


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Flatten(), nn.Linear(16 * 64, 64), nn.ReLU(),
        )
        self.kind = nn.Linear(64, len(KINDS))
        self.box = nn.Linear(64, 4)

    def forward(self, x):
        h = self.trunk(x)
        return self.kind(h), self.box(h)


class Trainer:
    def __init__(self, model, train, test, lr=2e-3, batch=32):
        self.model, self.train_data, self.test_data, self.batch = model, train, test, batch
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)

    def losses(self, frames, kinds, boxes):
        logits, place = self.model(frames)
        return F.cross_entropy(logits, kinds), F.mse_loss(place, boxes / SIZE)

    def epoch(self):
        self.model.train()
        sums = [0.0, 0.0]
        for idx in torch.randperm(len(self.train_data[0])).split(self.batch):
            what, where = self.losses(*(t[idx] for t in self.train_data))
            self.opt.zero_grad()
            (what + where).backward()
            self.opt.step()
            sums[0] += what.item() * len(idx)
            sums[1] += where.item() * len(idx)
        return [s / len(self.train_data[0]) for s in sums]

    def accuracy(self):
        self.model.eval()
        with torch.no_grad():
            logits, _ = self.model(self.test_data[0])
        return (logits.argmax(1) == self.test_data[1]).float().mean().item()


gen = torch.Generator().manual_seed(4)
torch.manual_seed(4)
trainer = Trainer(Detector(), draw(640, gen), draw(256, gen))
for n in range(1, 9):
    what, where = trainer.epoch()
    print(f"epoch {n}: kind {what:.3f} box {where:.4f} kinds right {trainer.accuracy():.3f}")
