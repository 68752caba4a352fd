from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    size: int = 16
    classes: int = 6
    width: int = 12
    depth: int = 11
    epochs: int = 12
    batch: int = 32
    lr: float = 0.03
    freeze_bn: bool = False


def weave(n, cfg, gen):
    """Stripes in six directions, of any phase, with a tint of their own."""
    label = torch.randint(0, cfg.classes, (n,), generator=gen)
    angle = label * torch.pi / cfg.classes + 0.12 * torch.randn(n, generator=gen)
    freq = 0.9 + 0.5 * torch.rand(n, generator=gen)
    phase = 2 * torch.pi * torch.rand(n, generator=gen)
    axis = torch.arange(cfg.size, dtype=torch.float32)
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")
    run = angle.cos()[:, None, None] * xx + angle.sin()[:, None, None] * yy
    stripes = torch.sin(freq[:, None, None] * run + phase[:, None, None])
    tint = 0.5 + torch.rand(n, 3, 1, 1, generator=gen)
    images = stripes[:, None] * tint + 0.6 * torch.randn(n, 3, cfg.size, cfg.size, generator=gen)
    return images, label


class ConvBN(nn.Sequential):
    def __init__(self, n_in, n_out, stride=1):
        super().__init__(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
        )


class ClothNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        w = cfg.width
        layers = [ConvBN(3, w, 2)]
        for i in range(cfg.depth - 1):
            layers.append(ConvBN(w, w, 2 if i == 4 else 1))
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(w, cfg.classes)

    def train(self, mode=True):
        super().train(mode)
        if mode and self.cfg.freeze_bn:
            for m in self.modules():
                if isinstance(m, nn.BatchNorm2d):
                    m.eval()
        return self

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


class Runner:
    def __init__(self, cfg):
        self.cfg = cfg
        gen = torch.Generator().manual_seed(1)
        self.train_x, self.train_y = weave(960, cfg, gen)
        self.test_x, self.test_y = weave(300, cfg, gen)
        self.net = ClothNet(cfg)
        self.opt = torch.optim.SGD(self.net.parameters(), lr=cfg.lr, momentum=0.9, weight_decay=1e-4)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, cfg.epochs)

    def epoch(self):
        self.net.train()
        for idx in torch.randperm(len(self.train_x)).split(self.cfg.batch):
            loss = F.cross_entropy(self.net(self.train_x[idx]), self.train_y[idx])
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
        self.sched.step()
        return loss.item()

    @torch.no_grad()
    def test(self):
        self.net.eval()
        return (self.net(self.test_x).argmax(1) == self.test_y).float().mean().item()

    def run(self):
        for e in range(self.cfg.epochs):
            print(f"[{e}] loss {self.epoch():.3f} test acc {self.test():.3f}")


if __name__ == "__main__":
    torch.manual_seed(4)
    Runner(Config()).run()
