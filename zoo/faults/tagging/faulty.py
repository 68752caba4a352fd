import torch
from sklearn.datasets import make_multilabel_classification
from torch import nn
from torch.utils.data import DataLoader, Dataset


class TagData(Dataset):
    def __init__(self, x, t):
        self.rows = [{"x": a, "tags": b} for a, b in zip(x, t)]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


class Tagger(nn.Module):
    def __init__(self, n_in, n_tags, hidden=64):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(n_in, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, n_tags))

    def forward(self, x):
        return self.inner(x).sigmoid()

    def predict(self, x):
        return self(x) > 0.5


def f1(pred, true):
    tp = (pred & true).sum().item()
    return 2 * tp / max(1, pred.sum().item() + true.sum().item())


def main():
    torch.manual_seed(6)
    x, t = make_multilabel_classification(1500, 30, n_classes=8, n_labels=2, random_state=4)
    x = torch.tensor(x, dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0)
    t = torch.tensor(t, dtype=torch.float32)
    train = DataLoader(TagData(x[:1200], t[:1200]), batch_size=60, shuffle=True)
    test = DataLoader(TagData(x[1200:], t[1200:]), batch_size=300)
    model = Tagger(30, 8)
    loss_fn = nn.BCEWithLogitsLoss()
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for ep in range(20):
        model.train()
        acc = 0.0
        for b in train:
            opt.zero_grad()
            loss = loss_fn(model(b["x"]), b["tags"])
            loss.backward()
            opt.step()
            acc += loss.item()
        model.eval()
        with torch.no_grad():
            scores = [f1(model.predict(b["x"]), b["tags"] > 0) for b in test]
        print(f"{ep:2d}: loss {acc / len(train):.4f} micro-f1 {scores[0]:.3f}")


if __name__ == "__main__":
    main()
