import argparse
import math

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class PositionalEncoding(nn.Module):
    def __init__(self, d_model: int, dropout: float = 0.05, max_len: int = 500):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        x = x + self.pe[: x.size(0)]
        return self.dropout(x)


class PatchTransformer(nn.Module):
    """Strips of 2 x 4 pixels of an 8 x 8 image are the 8 tokens."""

    def __init__(self, dim, heads, layers):
        super().__init__()
        self.embed = nn.Linear(8, dim)
        self.pos = PositionalEncoding(dim)
        block = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.05, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.classify = nn.Linear(dim, 10)

    def forward(self, images):
        patches = images.unfold(1, 2, 2).unfold(2, 4, 4).reshape(len(images), 8, 8)
        return self.classify(self.encoder(self.pos(self.embed(patches))).mean(1))


def loaders(batch_size):
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1
    labels = torch.tensor(digits.target)
    xa, xb, ya, yb = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    train = DataLoader(TensorDataset(xa, ya), batch_size, shuffle=True)
    return train, DataLoader(TensorDataset(xb, yb), batch_size)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--dim", type=int, default=40)
    args = parser.parse_args()

    torch.manual_seed(42)
    train_loader, test_loader = loaders(args.batch_size)
    model = PatchTransformer(args.dim, heads=4, layers=2)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    for epoch in range(1, args.epochs + 1):
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
        schedule.step()
        model.eval()
        hits = 0
        with torch.no_grad():
            for images, labels in test_loader:
                hits += (model(images).argmax(1) == labels).sum().item()
        print(f"epoch {epoch:2d}  loss {loss.item():.3f}  accuracy {hits / len(test_loader.dataset):.3f}")


if __name__ == "__main__":
    main()
