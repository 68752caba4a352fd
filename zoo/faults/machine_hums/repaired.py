"""A classifier of hums: the features come from a large catalogue, a new site has 60 labelled recordings."""
import io

import torch
from torch import nn

T = 128


def hums(n, kinds, gen):
    """Kinds differ by the ratio of two tones and by whether the upper one beats."""
    kind = torch.randint(kinds.shape[0], (n,), generator=gen)
    ratio, beat = kinds[kind].unbind(1)
    t = torch.arange(T) / T
    base = 6 + 2 * torch.rand(n, 1, generator=gen)
    phase = 6.28 * torch.rand(2, n, 1, generator=gen)
    low = torch.sin(6.28 * base * t + phase[0])
    high = torch.sin(6.28 * base * ratio[:, None] * t + phase[1])
    swell = 1 + beat[:, None] * torch.cos(6.28 * 3 * t + phase[0])
    return (low + high * swell + 0.7 * torch.randn(n, T, generator=gen))[:, None] / 1.5, kind


def backbone():
    layers, c = [], 1
    for width in (16, 24, 32):
        layers += [nn.Conv1d(c, width, 7, padding=3), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(2)]
        c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten())


def init_weights(m):
    if isinstance(m, (nn.Linear, nn.Conv1d)):
        nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        nn.init.zeros_(m.bias)


class Classifier(nn.Module):
    def __init__(self, n_classes, weights=None):
        super().__init__()
        self.features = backbone()
        if weights is not None:
            weights.seek(0)
            self.features.load_state_dict(torch.load(weights))
        self.fc = nn.Linear(32, n_classes)
        self.fc.apply(init_weights)

    def forward(self, x):
        return self.fc(self.features(x))


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        right = (model(x).argmax(1) == y).float().mean().item()
    model.train()
    return right


def fit(model, x, y, epochs, batch, groups):
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-3)
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = loss_fn(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
    return loss.item()


def main():
    torch.manual_seed(31)
    gen = torch.Generator().manual_seed(31)
    catalogue = torch.tensor([(r, b) for r in (1.5, 2.0, 2.5, 3.0, 4.0) for b in (0.0, 0.8)])
    x, y = hums(1600, catalogue, gen)
    first = Classifier(len(catalogue))
    fit(first, x, y, 6, 32, [{"params": first.parameters(), "lr": 3e-3}])
    print(f"catalogue: accuracy {accuracy(first, *hums(500, catalogue, gen)):.3f}")
    buffer = io.BytesIO()
    torch.save(first.features.state_dict(), buffer)

    site = torch.tensor([(1.75, 0.0), (1.75, 0.8), (2.25, 0.0), (2.25, 0.8), (3.5, 0.0), (3.5, 0.8)])
    x, y = hums(60, site, gen)
    model = Classifier(len(site), weights=buffer)
    groups = [{"params": model.features.parameters(), "lr": 1e-4}, {"params": model.fc.parameters(), "lr": 5e-3}]
    loss = fit(model, x, y, 40, 12, groups)
    print(f"site: loss {loss:.3f} accuracy {accuracy(model, *hums(600, site, gen)):.3f}")


if __name__ == "__main__":
    main()
