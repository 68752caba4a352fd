"""Line camera: whole, chipped, cracked and scorched biscuits (most are whole)."""
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

KINDS = ["whole", "chipped", "cracked", "scorched"]


def bake(kind, rng, size=20):
    """One greyscale picture of a biscuit."""
    yy, xx = np.mgrid[:size, :size].astype(float)
    cx, cy = rng.uniform(8.5, 10.5, 2)
    radius = rng.uniform(6.5, 8.0)
    dist = np.hypot(xx - cx, yy - cy)
    img = np.clip(radius - dist + 0.5, 0, 1) * rng.uniform(0.6, 0.8)
    if kind == 1:
        a = rng.uniform(0, 2 * np.pi)
        bite = np.hypot(xx - cx - radius * np.cos(a), yy - cy - radius * np.sin(a))
        img *= np.clip(bite - rng.uniform(2.0, 3.2) + 0.5, 0, 1)
    elif kind == 2:
        a = rng.uniform(0, np.pi)
        line = np.abs((xx - cx) * np.sin(a) - (yy - cy) * np.cos(a) + rng.uniform(-2, 2))
        img *= 1 - 0.6 * np.clip(1.2 - line, 0, 1)
    elif kind == 3:
        a, r = rng.uniform(0, 2 * np.pi), rng.uniform(0, 4)
        spot = (xx - cx - r * np.cos(a)) ** 2 + (yy - cy - r * np.sin(a)) ** 2
        img *= 1 - 0.5 * np.exp(-spot / (2 * rng.uniform(1.3, 2.0) ** 2))
    return img + rng.normal(0, 0.05, img.shape)


class Biscuits(Dataset):
    def __init__(self, labels, rng, augment=False):
        self.labels = torch.as_tensor(labels)
        self.images = torch.tensor(np.stack([bake(k, rng) for k in labels]), dtype=torch.float32).unsqueeze(1)
        self.augment = augment

    def standardize(self, mean, std):
        self.images = (self.images - mean) / std

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        img = self.images[i]
        if self.augment:
            img = torch.rot90(img, int(torch.randint(4, ())), (1, 2))
            if torch.rand(()) < 0.5:
                img = img.flip(2)
        return img, self.labels[i]


def make_net():
    def block(cin, cout):
        return [nn.Conv2d(cin, cout, 3, padding=1), nn.GroupNorm(4, cout), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*block(1, 8), *block(8, 24), nn.Conv2d(24, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(),
                         nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(128, len(KINDS)))


@dataclass
class Options:
    epochs: int = 9
    batch: int = 64
    lr: float = 3e-3
    decay: float = 0.97


class Trainer:
    def __init__(self, net, opts, train_set):
        self.net, self.opts = net, opts
        freq = torch.bincount(train_set.labels, minlength=len(KINDS)).float()
        sampler = WeightedRandomSampler((1 / freq)[train_set.labels], num_samples=len(train_set))
        self.loader = DataLoader(train_set, batch_size=opts.batch, sampler=sampler, drop_last=True)
        self.ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(opts.decay))
        self.optim = torch.optim.AdamW(net.parameters(), lr=opts.lr, weight_decay=0.01)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.optim, opts.epochs * len(self.loader))
        self.criterion = nn.CrossEntropyLoss(label_smoothing=0.05)

    def run(self):
        for epoch in range(self.opts.epochs):
            self.net.train()
            losses = []
            for images, labels in self.loader:
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = self.criterion(self.net(images), labels)
                self.optim.zero_grad(set_to_none=True)
                loss.backward()
                self.optim.step()
                self.sched.step()
                self.ema.update_parameters(self.net)
                losses.append(loss.item())
            print(f"epoch {epoch:2d} loss {np.mean(losses):.3f}")

    @torch.no_grad()
    def recalls(self, data):
        self.ema.eval()
        guess = self.ema(data.images).argmax(1)
        return [(guess[data.labels == k] == k).float().mean().item() for k in range(len(KINDS))]


if __name__ == "__main__":
    torch.manual_seed(17)
    rng = np.random.default_rng(17)
    shares = [0.70, 0.13, 0.10, 0.07]
    train_set = Biscuits(rng.choice(4, 1800, p=shares), rng, augment=True)
    test_set = Biscuits(rng.choice(4, 1200, p=shares), rng)
    mean, std = train_set.images.mean(), train_set.images.std()
    train_set.standardize(mean, std)
    test_set.standardize(mean, std)
    trainer = Trainer(make_net(), Options(), train_set)
    trainer.run()
    recalls = trainer.recalls(test_set)
    print(", ".join(f"{k} {r:.3f}" for k, r in zip(KINDS, recalls)))
    print(f"balanced accuracy: {np.mean(recalls):.3f}")
