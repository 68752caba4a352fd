import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class ConvNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(24)
        self.fc = nn.Linear(24, n_classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


def loaders(classes, bs):
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32)[:, None] / 8 - 1
    y = torch.tensor(d.target)
    keep = torch.isin(y, torch.tensor(classes))
    x, y = x[keep], torch.searchsorted(torch.tensor(classes), y[keep])
    n = int(len(x) * 0.8)
    return (DataLoader(TensorDataset(x[:n], y[:n]), bs, shuffle=True), DataLoader(TensorDataset(x[n:], y[n:]), 256))


def run_epochs(model, tr, va, opt, n, tag):
    ce = nn.CrossEntropyLoss()
    for e in range(n):
        model.train()
        agg = 0.0
        for x, y in tr:
            opt.zero_grad()
            loss = ce(model(x), y)
            loss.backward()
            opt.step()
            agg += loss.item() / len(tr)
        model.eval()
        with torch.no_grad():
            acc = sum((model(x).argmax(1) == y).sum().item() for x, y in va) / len(va.dataset)
        print(f"{tag} epoch {e} loss {agg:.4f} acc {acc:.3f}")


torch.manual_seed(5)
model = ConvNet(4)
run_epochs(model, *loaders([0, 1, 2, 3], 32), torch.optim.Adam(model.parameters(), 3e-3), 6, "base")

model.fc = nn.Linear(24, 6)
for name, p in model.named_parameters():
    if "bn" not in name and "fc" not in name:
        p.requires_grad = False
trainable = [p for p in model.parameters() if p.requires_grad]
print("tuning", len(trainable), "tensors")
run_epochs(model, *loaders([4, 5, 6, 7, 8, 9], 32), torch.optim.Adam(trainable, 1e-2), 12, "adapt")
