"""A small fast clerk learns to sort fruit from the senior clerk's hesitations, not from the answers.

Teacher: an ensemble-ish wide net trained on 1200 labelled crates.  Student: 2x24 units, sees 6000
crates WITHOUT labels and only the teacher's softened opinion (T = 3, loss scaled by T^2).
"""
import os
import numpy as np
import torch
from sklearn.datasets import make_classification
from torch import nn
import torch.nn.functional as F


def crates(seed):
    x, y = make_classification(n_samples=10200, n_features=20, n_informative=12, n_redundant=4, n_classes=6,
                               n_clusters_per_class=2, class_sep=1.6, flip_y=0.0, random_state=seed)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    lab, unl, test = slice(0, 1200), slice(1200, 7200), slice(7200, None)
    m, s = x[:7200].mean(0), x[:7200].std(0)
    x = (x - m) / s
    return (x[lab], y[lab]), x[unl], (x[test], y[test])


def net(h, drop=0.0):
    return nn.Sequential(nn.Linear(20, h), nn.ReLU(), nn.Dropout(drop), nn.Linear(h, h), nn.ReLU(), nn.Dropout(drop), nn.Linear(h, 6))


def accuracy(f, data):
    f.eval()
    with torch.no_grad():
        return (f(data[0]).argmax(1) == data[1]).float().mean().item()


def train_teacher(data):
    f = net(256, 0.3)
    opt = torch.optim.AdamW(f.parameters(), lr=1e-3, weight_decay=0.05)
    for ep in range(50):
        f.train()
        for i in torch.randperm(1200).split(60):
            loss = F.cross_entropy(f(data[0][i]), data[1][i], label_smoothing=0.05)
            opt.zero_grad()
            loss.backward()
            opt.step()
    return f


class Distiller:
    def __init__(self, teacher, T=3.0):
        self.teacher, self.T = teacher.eval(), T
        for p in self.teacher.parameters():
            p.requires_grad = False
        self.student = net(24)
        self.opt = torch.optim.Adam(self.student.parameters(), lr=1e-2)

    def loss(self, x):
        with torch.no_grad():
            soft = F.log_softmax(self.teacher(x) / self.T, 1)
        mine = F.log_softmax(self.student(x) / self.T, 1)
        return F.kl_div(mine, soft, reduction="batchmean", log_target=True) * self.T ** 2

    def run(self, x, epochs, batch=100):
        sched = torch.optim.lr_scheduler.OneCycleLR(self.opt, 1e-2, epochs=epochs, steps_per_epoch=len(x) // batch)
        for ep in range(epochs):
            self.student.train()
            tot = 0.0
            for i in torch.randperm(len(x)).split(batch):
                loss = self.loss(x[i])
                self.opt.zero_grad(set_to_none=False)
                loss.backward()
                self.opt.step()
                sched.step()
                tot += loss.item()
            if ep % 8 == 7:
                print(f"epoch {ep + 1} divergence {tot / (len(x) // batch):.4f}")
        return self.student


def small_alone(data):
    f = net(24)
    opt = torch.optim.Adam(f.parameters(), lr=3e-3)
    for ep in range(60):
        f.train()
        for i in torch.randperm(1200).split(60):
            loss = F.cross_entropy(f(data[0][i]), data[1][i])
            opt.zero_grad(); loss.backward(); opt.step()
    return f


if __name__ == "__main__":
    seed = int(os.environ.get("SEED", "0"))
    torch.manual_seed(seed)
    np.random.seed(seed)
    labelled, unlabelled, test = crates(seed)
    teacher = train_teacher(labelled)
    print(f"teacher {accuracy(teacher, test):.3f}; small net on the labels alone {accuracy(small_alone(labelled), test):.3f}")
    student = Distiller(teacher).run(unlabelled, 40)
    print(f"student test accuracy {accuracy(student, test):.3f}")
