"""Does the printed digit have a closed loop? Few labels, so the layers come from a reader that was trained before."""
import io

import torch
from sklearn.datasets import load_digits
from torch import nn

LOOPS = torch.tensor([1, 0, 0, 0, 0, 0, 1, 0, 1, 1])


def trunk():
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10), nn.ReLU())


class DigitReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = trunk()
        self.classifier = nn.Linear(10, 10)

    def forward(self, x):
        return self.classifier(self.backbone(x))


class LoopSpotter(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = trunk()
        self.head = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, x):
        return self.head(self.encoder(x))


def load_backbone(model, checkpoint):
    weights = {k.removeprefix("backbone."): v for k, v in checkpoint["model"].items() if k.startswith("backbone.")}
    model.encoder.load_state_dict(weights)
    return model


def run_epochs(model, parameters, x, y, epochs, lr, batch_size):
    optimizer = torch.optim.Adam(parameters, lr=lr)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


def pretrain(x, y, file):
    reader = DigitReader()
    loss = run_epochs(reader, reader.parameters(), x, y, epochs=30, lr=3e-3, batch_size=32)
    print(f"reader: last loss {loss:.4f}")
    torch.save({"model": reader.state_dict(), "epochs": 30}, file)


def main():
    torch.manual_seed(3)
    images, digits = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32) / 8 - 1
    y = torch.tensor(digits)
    order = torch.randperm(len(x))
    before, few, rest = order[:1000], order[1000:1080], order[1080:]

    file = io.BytesIO()
    pretrain(x[before], y[before], file)
    file.seek(0)

    spotter = load_backbone(LoopSpotter(), torch.load(file))
    for p in spotter.encoder.parameters():
        p.requires_grad = False
    loss = run_epochs(spotter, spotter.head.parameters(), x[few], LOOPS[y[few]], epochs=40, lr=5e-3, batch_size=16)
    print(f"spotter: last loss {loss:.4f}, accuracy {accuracy(spotter, x[rest], LOOPS[y[rest]]):.4f}")


if __name__ == "__main__":
    main()
