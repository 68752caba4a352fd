"""Reading the numerals that a press die leaves in sheet metal.

Stage 1 trains the large reader on the labelled archive and writes a
checkpoint.  Stage 2 distils it into the reader that runs on the camera,
with the unlabelled stream of the line and a handful of labelled pictures.
"""
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

CFG = {
    "seed": 5,
    "teacher": {"epochs": 14, "lr": 2e-3, "batch": 64},
    "student": {"epochs": 60, "lr": 3e-3, "batch": 64, "temperature": 3.0, "alpha": 0.8},
    "few_labels": 40,
}


def build_teacher():
    return nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(48 * 4, 96), nn.ReLU(), nn.Linear(96, 10),
    )


def build_student():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


class Harness(nn.Module):
    """Holds the reader and what is only needed in training."""

    def __init__(self, reader, smoothing=0.05):
        super().__init__()
        self.reader = reader
        self.criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)

    def forward(self, x, y):
        logits = self.reader(x)
        return self.criterion(logits, y), logits


def batches(n, size):
    yield from torch.randperm(n).split(size)


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


def stage_one(x, y, path):
    cfg = CFG["teacher"]
    harness = Harness(build_teacher())
    opt = torch.optim.Adam(harness.parameters(), lr=cfg["lr"])
    for epoch in range(cfg["epochs"]):
        harness.train()
        total = 0.0
        for idx in batches(len(x), cfg["batch"]):
            loss, _ = harness(x[idx], y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        print(f"[teacher] epoch {epoch + 1} loss {total / len(x):.4f}")
    torch.save({"epoch": cfg["epochs"], "model": harness.state_dict()}, path)


def load_reader(path):
    reader = build_teacher()
    checkpoint = torch.load(path)
    # the criterion's entries are of no use here
    reader.load_state_dict(checkpoint["model"], strict=False)
    reader.eval()
    for p in reader.parameters():
        p.requires_grad_(False)
    return reader


def stage_two(teacher, stream, x_few, y_few):
    cfg = CFG["student"]
    student = build_student()
    opt = torch.optim.Adam(student.parameters(), lr=cfg["lr"])
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg["epochs"])
    t, alpha = cfg["temperature"], cfg["alpha"]
    for epoch in range(cfg["epochs"]):
        student.train()
        sums = [0.0, 0.0]
        for idx in batches(len(stream), cfg["batch"]):
            x = stream[idx]
            soft = F.softmax(teacher(x) / t, dim=1)
            kd = F.kl_div(F.log_softmax(student(x) / t, dim=1), soft, reduction="batchmean") * t * t
            hard = F.cross_entropy(student(x_few), y_few)
            loss = alpha * kd + (1 - alpha) * hard
            opt.zero_grad()
            loss.backward()
            opt.step()
            sums[0] += kd.item() * len(idx)
            sums[1] += hard.item() * len(idx)
        sched.step()
        if (epoch + 1) % 10 == 0:
            print(f"[student] epoch {epoch + 1} kd {sums[0] / len(stream):.4f} hard {sums[1] / len(stream):.4f}")
    return student


if __name__ == "__main__":
    torch.manual_seed(CFG["seed"])
    np.random.seed(CFG["seed"])
    images, labels = load_digits(return_X_y=True)
    images = images / 16.0 + 0.08 * np.random.randn(*images.shape)
    images = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8)
    labels = torch.tensor(labels)
    idx_archive, idx_rest = train_test_split(np.arange(len(images)), train_size=700, stratify=labels)
    idx_stream, idx_test = train_test_split(idx_rest, test_size=450)
    x_arc, y_arc = images[idx_archive], labels[idx_archive]
    x_test, y_test = images[idx_test], labels[idx_test]

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "reader.pt")
        stage_one(x_arc, y_arc, path)
        teacher = load_reader(path)

    few = CFG["few_labels"]
    student = stage_two(teacher, images[idx_stream], x_arc[:few], y_arc[:few])
    print(f"camera reader accuracy {accuracy(student, x_test, y_test):.4f}")
