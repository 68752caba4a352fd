import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))

    def forward(self, a, b):
        za, zb = self.branch(a), self.branch(b)
        return torch.sqrt(((za - zb) ** 2).sum(1))


class PairSampler:
    def __init__(self, x, y, seed):
        self.x, self.y = x, y
        self.g = torch.Generator().manual_seed(seed)
        self.by_class = [torch.nonzero(y == c).flatten() for c in range(10)]

    def draw(self, n):
        i = torch.randint(0, len(self.x), (n,), generator=self.g)
        j = torch.randint(0, len(self.x), (n,), generator=self.g)
        for k in range(0, n, 2):
            pool = self.by_class[self.y[i[k]]]
            j[k] = pool[torch.randint(0, len(pool), (1,), generator=self.g)]
        return self.x[i], self.x[j], (self.y[i] == self.y[j]).float()


def contrastive(dist, same, margin=2.0):
    return (same * dist ** 2 + (1 - same) * (margin - dist).clamp(min=0) ** 2).mean()


def main():
    torch.manual_seed(40)
    d = load_digits()
    x, y = torch.tensor(d.data, dtype=torch.float32) / 16, torch.tensor(d.target)
    train, test = PairSampler(x[:1300], y[:1300], 0), PairSampler(x[1300:], y[1300:], 1)
    model = Siamese()
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(1, 801):
        a, b, same = train.draw(64)
        opt.zero_grad()
        loss = contrastive(model(a, b), same)
        loss.backward()
        opt.step()
        if step % 80 == 0:
            with torch.no_grad():
                a, b, same = test.draw(400)
                hit = ((model(a, b) < 1.0).float() == same).float().mean()
            print(f"step {step} loss {loss.item():.4f} pair acc {hit:.3f}")


main()
