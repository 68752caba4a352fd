# Peak flow of a river in spring from snow, rain and warmth: not one number but five quantiles of it.
import numpy as np
import torch

np.random.seed(40)
torch.manual_seed(40)

LEVELS = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])


def springs(n):
    snow, rain, warmth, forest = np.random.rand(4, n)
    flow = 40 + 160 * snow * (0.3 + warmth) + 80 * rain ** 2 - 30 * forest
    flow = flow + (4 + 40 * rain * snow) * np.random.gumbel(size=n)
    inputs = np.stack([snow, rain, warmth, forest], 1)
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(flow, dtype=torch.float32)


class FloodQuantiles(torch.nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, width), torch.nn.Linear(width, width)])
        self.read = torch.nn.Linear(width, len(LEVELS))

    def forward(self, x):
        for layer in self.layers:
            x = torch.nn.functional.silu(layer(x))
        raw = self.read(x)
        rises = torch.nn.functional.softplus(raw[:, 1:])
        return torch.cat([raw[:, :1], rises], 1).cumsum(1)  # they cannot cross


def pinball(quantiles, flow):
    short = flow[:, None] - quantiles
    return torch.maximum(LEVELS * short, (LEVELS - 1) * short).mean()


x, flow = springs(2400)
x_new, flow_new = springs(1000)
x_mid, x_dev, f_mid, f_dev = x.mean(0), x.std(0), flow.mean(), flow.std()
x, flow, x_new = (x - x_mid) / x_dev, (flow - f_mid) / f_dev, (x_new - x_mid) / x_dev

net = FloodQuantiles()
adam = torch.optim.Adam(net.parameters(), lr=3e-3)
fade = torch.optim.lr_scheduler.ExponentialLR(adam, 0.85)
print(f"pinball of the plain quantiles {pinball(torch.quantile(flow, LEVELS).expand(len(flow), -1), flow):.4f}")
for season in range(16):
    net.train()
    heard = 0.0
    for part in torch.randperm(2400).chunk(40):
        adam.zero_grad()
        loss = pinball(net(x[part]), flow[part])
        loss.backward()
        adam.step()
        heard += loss.item() / 40
    fade.step()
    net.eval()
    with torch.no_grad():
        q = net(x_new) * f_dev + f_mid
    below = (flow_new[:, None] < q).float().mean(0)
    if season % 3 == 0:
        print(f"{season:2d}  pinball {heard:.4f}  new springs {pinball(q, flow_new).item() / f_dev:.4f}  below", *[f"{b:.2f}" for b in below])
