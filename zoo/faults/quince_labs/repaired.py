# quince samples from two labs: lab 0 measured sugar, lab 1 graded the ripeness
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
np.random.seed(5)

D = 12
GRADES = 4
mix = np.random.randn(3, D)


def lab_table(n, gain, offset, noise):
    """hidden fruit state -> readings of that lab's instrument"""
    z = np.random.randn(n, 3)
    read = np.tanh(z @ mix * 0.6) * gain + offset + noise * np.random.randn(n, D)
    sugar = 12 + 2 * z[:, 0] + 1.5 * z[:, 1] * z[:, 2]
    ripe = z[:, 1] - 0.6 * z[:, 0] + 0.5 * z[:, 2] ** 2
    return read.astype(np.float32), sugar.astype(np.float32), ripe


def cut_grades(r):
    q = np.quantile(r, [0.25, 0.5, 0.75])
    return np.digitize(r, q)


def split(x, y, n_train):
    p = np.random.permutation(len(x))
    a, b = p[:n_train], p[n_train:]
    return x[a], y[a], x[b], y[b]


def prepare():
    x0, sugar, _ = lab_table(3000, gain=0.6, offset=np.random.randn(D) * 0.8, noise=0.05)
    x1, _, ripe = lab_table(3000, gain=1.5, offset=np.random.randn(D) * 0.8, noise=0.1)
    a = split(x0, sugar, 2400)
    b = split(x1, cut_grades(ripe), 2400)
    both = np.concatenate([a[0], b[0]])
    m, s = both.mean(0), both.std(0)
    sm, ss = a[1].mean(), a[1].std()
    t = torch.tensor
    lab0 = [t((a[0] - m) / s), t((a[1] - sm) / ss), t((a[2] - m) / s), t((a[3] - sm) / ss)]
    lab1 = [t((b[0] - m) / s), t(b[1]), t((b[2] - m) / s), t(b[3])]
    return [lab0, lab1]


class Net(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.l1 = nn.Linear(D, h)
        self.l2 = nn.Linear(h, h)
        self.bn1 = nn.ModuleList([nn.BatchNorm1d(h) for _ in range(2)])
        self.bn2 = nn.ModuleList([nn.BatchNorm1d(h) for _ in range(2)])
        self.heads = nn.ModuleList([nn.Linear(h, 1), nn.Linear(h, GRADES)])

    def forward(self, x, lab):
        x = F.relu(self.bn1[lab](self.l1(x)))
        x = F.relu(self.bn2[lab](self.l2(x)))
        return self.heads[lab](x)


def loss_fn(out, y, lab):
    return F.mse_loss(out.squeeze(1), y) if lab == 0 else F.cross_entropy(out, y)


def train_epoch(net, opt, data, bs=64):
    net.train()
    orders = [torch.randperm(len(d[0])) for d in data]
    tot = [0.0, 0.0]
    k = 0
    for i in range(0, len(orders[0]) - bs + 1, bs):
        opt.zero_grad()
        for lab, d in enumerate(data):
            j = orders[lab][i:i + bs]
            loss = loss_fn(net(d[0][j], lab), d[1][j], lab)
            loss.backward()
            tot[lab] += loss.item()
        opt.step()
        k += 1
    return [v / k for v in tot]


@torch.no_grad()
def test(net, data):
    net.eval()
    x, y = data[0][2], data[0][3]
    rmse = F.mse_loss(net(x, 0).squeeze(1), y).sqrt().item()
    x, y = data[1][2], data[1][3]
    acc = (net(x, 1).argmax(1) == y).float().mean().item()
    return rmse, acc


def main():
    data = prepare()
    net = Net()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 25)
    for ep in range(25):
        l = train_epoch(net, opt, data)
        sched.step()
        if ep % 5 == 4:
            print(f"ep {ep + 1:2d}  sugar loss {l[0]:.3f}  grade loss {l[1]:.3f}")
    rmse, acc = test(net, data)
    print(f"sugar rmse (in sd) {rmse:.4f}")
    print(f"grade accuracy {acc:.4f}")


main()
