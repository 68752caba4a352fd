import tempfile
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def wide_net():
    return nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 16, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def narrow_net():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 24), nn.ReLU(),
        nn.Linear(24, 10),
    )  # fmt: skip


def batches(*tensors, size=50):
    for rows in torch.randperm(len(tensors[0])).split(size):
        yield tuple(t[rows] for t in tensors)


def train_wide(path, x, y):
    net = wide_net()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(10):
        for bx, by in batches(x, y):
            opt.zero_grad()
            F.cross_entropy(net(bx), by).backward()
            opt.step()
    torch.save({"net": net.state_dict(), "classes": 10}, path)


def load_wide(path):
    net = wide_net()
    checkpoint = torch.load(path)
    net.load_state_dict(checkpoint["net"])
    return net.eval().requires_grad_(False)


def distill(teacher, student, x, epochs=25, temperature=3.0):
    opt = torch.optim.Adam(student.parameters(), lr=4e-3)
    for epoch in range(epochs):
        running = []
        for (bx,) in batches(x):
            soft = F.log_softmax(teacher(bx) / temperature, 1)
            mine = F.log_softmax(student(bx) / temperature, 1)
            loss = F.kl_div(mine, soft, reduction="batchmean", log_target=True) * temperature**2
            opt.zero_grad()
            loss.backward()
            opt.step()
            running.append(loss.item())
        if epoch % 6 == 0:
            print(f"distill epoch {epoch}: {sum(running) / len(running):.4f}")
    return student


def main():
    torch.manual_seed(12)
    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    y = torch.tensor(data.target)
    x_fit, x_test, y_fit, y_test = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    # a part of the images has no labels: only the small net sees them
    x_lab, y_lab = x_fit[:700], y_fit[:700]

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.pt"
        train_wide(path, x_lab, y_lab)
        teacher = load_wide(path)

    student = distill(teacher, narrow_net(), x_fit)
    student.eval()
    with torch.no_grad():
        acc = (student(x_test).argmax(1) == y_test).float().mean().item()
    print(f"small net: test accuracy {acc:.3f}")


if __name__ == "__main__":
    main()
