import math

import torch
from sklearn.datasets import make_moons
from torch import nn


class Coupling(nn.Module):
    def __init__(self, keep_first, hidden=48, clamp=2.0):
        super().__init__()
        self.keep = 0 if keep_first else 1
        self.clamp = clamp
        self.net = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        self.net[-1].weight.data.zero_()
        self.net[-1].bias.data.zero_()

    def forward(self, x):
        a, b = x[:, self.keep], x[:, 1 - self.keep]
        s, t = self.net(a[:, None]).T
        s = self.clamp * torch.tanh(s / self.clamp)
        b = b * s.exp() + t
        pair = (a, b) if self.keep == 0 else (b, a)
        return torch.stack(pair, dim=1), s


class Flow(nn.Module):
    def __init__(self, depth=10):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(i % 2 == 0) for i in range(depth))
        self.log_scale = nn.Parameter(torch.zeros(2))

    def log_prob(self, x):
        z = x * self.log_scale.exp()
        logdet = self.log_scale.sum().expand(len(x))
        for layer in self.layers:
            z, s = layer(z)
            logdet = logdet + s
        return -0.5 * z.square().sum(1) - math.log(2 * math.pi) + logdet


class FlowTrainer:
    def __init__(self, train, valid, lr=2e-3, epochs=22, batch=200):
        self.train_set, self.valid_set, self.batch, self.epochs = train, valid, batch, epochs
        self.flow = Flow()
        self.opt = torch.optim.Adam(self.flow.parameters(), lr=lr)
        self.sched = torch.optim.lr_scheduler.MultiStepLR(self.opt, [epochs // 2, 3 * epochs // 4], gamma=0.3)
        self.history = []

    def run_epoch(self):
        order = torch.randperm(len(self.train_set))
        for idx in order.split(self.batch):
            nll = -self.flow.log_prob(self.train_set[idx]).mean()
            self.opt.zero_grad()
            nll.backward()
            nn.utils.clip_grad_norm_(self.flow.parameters(), 10.0)
            self.opt.step()
            self.history.append(nll.item())
        self.sched.step()

    @torch.no_grad()
    def validate(self):
        return -self.flow.log_prob(self.valid_set).mean().item()

    def run(self):
        for epoch in range(1, self.epochs + 1):
            self.run_epoch()
            if epoch == 1 or epoch % 5 == 0:
                recent = self.history[-10:]
                print(f"epoch {epoch}: nll {sum(recent) / len(recent):+.3f} valid {self.validate():+.3f}")
        return self.validate()


if __name__ == "__main__":
    torch.manual_seed(3)
    xy, _ = make_moons(4400, noise=0.03, random_state=3)
    xy = torch.tensor(xy, dtype=torch.float32)
    xy = (xy - xy.mean(0)) * 0.5
    train, valid = xy[:4000], xy[4000:]
    gauss = torch.distributions.MultivariateNormal(train.mean(0), torch.cov(train.T))
    best = FlowTrainer(train, valid).run()
    print(f"one gaussian {-gauss.log_prob(valid).mean():+.3f}, flow {best:+.3f} nats")
