"""Distillation homework: a coach learns the digits, a pupil learns from the coach only and never sees a label."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def data():
    bunch = load_digits()
    x = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    whole = TensorDataset(x, torch.tensor(bunch.target))
    return random_split(whole, [1300, len(whole) - 1300])


class Coach(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(48 * 4, 10),
        )

    def forward(self, x):
        return self.net(x)


class Pupil(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 10))

    def forward(self, x):
        return self.layers(x)


def accuracy(model, subset):
    model.eval()
    x, y = next(iter(DataLoader(subset, batch_size=len(subset))))
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def train_coach(coach, train_set, epochs=5):
    opt = torch.optim.Adam(coach.parameters(), lr=2e-3)
    for epoch in range(epochs):
        coach.train()
        for x, y in DataLoader(train_set, batch_size=50, shuffle=True):
            opt.zero_grad()
            loss = F.cross_entropy(coach(x), y, label_smoothing=0.05)
            loss.backward()
            opt.step()
        print(f"coach epoch {epoch + 1} loss {loss.item():.3f}")


def train_pupil(pupil, coach, train_set, epochs=14, temperature=3.0):
    coach.eval().requires_grad_(False)
    opt = torch.optim.Adam(pupil.parameters(), lr=3e-3)
    for epoch in range(epochs):
        pupil.train()
        for x, _ in DataLoader(train_set, batch_size=50, shuffle=True):
            mix = torch.rand(len(x), 1, 1, 1) * 0.4
            x = (1 - mix) * x + mix * x[torch.randperm(len(x))]  # pictures between pictures have no label anyway
            with torch.no_grad():
                advice = F.softmax(coach(x) / temperature, dim=1)
            answer = F.log_softmax(pupil(x) / temperature, dim=1)
            loss = temperature ** 2 * F.kl_div(answer, advice, reduction="batchmean")
            opt.zero_grad()
            loss.backward()
            opt.step()
        if epoch % 2:
            print(f"pupil epoch {epoch + 1} divergence {loss.item():.3f}")


def main():
    torch.manual_seed(64)
    train_set, test_set = data()
    coach, pupil = Coach(), Pupil()
    train_coach(coach, train_set)
    train_pupil(pupil, coach, train_set)
    print(f"coach {accuracy(coach, test_set):.3f} pupil {accuracy(pupil, test_set):.3f}")


if __name__ == "__main__":
    main()
