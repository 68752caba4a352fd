"""Learn to read digits, then reuse the features: does the digit have a hole (0, 6, 8, 9)? With few labels."""
import argparse
import os
import tempfile

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 2 * 2, 32)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        return torch.relu(self.fc(x.flatten(1)))


class Classifier(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.features = Features()
        self.classifier = nn.Linear(32, n_classes)

    def forward(self, x):
        return self.classifier(self.features(x))


def run_epochs(model, loader, optimizer, epochs, tag):
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        total, right, seen = 0.0, 0, 0
        for x, y in loader:
            out = model(x)
            loss = criterion(out, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
            right += (out.argmax(1) == y).sum().item()
            seen += len(x)
        if (epoch + 1) % (epochs // 3) == 0:
            print(f"{tag} epoch {epoch + 1}: loss {total / seen:.3f} acc {right / seen:.3f}")


def pretrain(args, x, y, path):
    model = nn.DataParallel(Classifier(10))
    loader = DataLoader(TensorDataset(x, y), batch_size=args.batch_size, shuffle=True)
    run_epochs(model, loader, torch.optim.Adam(model.parameters(), lr=args.lr), args.pretrain_epochs, "digits")
    torch.save(model.module.state_dict(), path)


def finetune(args, x, y, path):
    model = Classifier(2)
    weights = torch.load(path)
    weights = {k: v for k, v in weights.items() if not k.endswith(("classifier.weight", "classifier.bias"))}
    model.load_state_dict(weights, strict=False)  # the last layer has another size
    for p in model.features.parameters():
        p.requires_grad = False
    loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)
    optimizer = torch.optim.Adam(model.classifier.parameters(), lr=0.01)
    run_epochs(model, loader, optimizer, args.epochs, "holes")
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--pretrain-epochs", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--labelled", type=int, default=60)
    args = parser.parse_args([])
    torch.manual_seed(44)

    digits = load_digits()
    images = torch.tensor(digits.images / 16.0, dtype=torch.float32).unsqueeze(1)
    target = torch.tensor(digits.target)
    hole = torch.isin(target, torch.tensor([0, 6, 8, 9])).long()
    old_idx, new_idx = train_test_split(range(len(target)), train_size=1000, stratify=digits.target, random_state=1)
    few_idx, rest_idx = new_idx[: args.labelled], new_idx[args.labelled :]

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "features.pth")
        pretrain(args, images[old_idx], target[old_idx], path)
        model = finetune(args, images[few_idx], hole[few_idx], path)

    model.eval()
    with torch.no_grad():
        acc = (model(images[rest_idx]).argmax(1) == hole[rest_idx]).float().mean().item()
    print(f"holes, held out: acc {acc:.3f}")


if __name__ == "__main__":
    main()
