import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class DenoisingAE(nn.Module):
    def __init__(self, code=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(32 * 16, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, 32 * 16),
            nn.LeakyReLU(0.1),
            nn.Unflatten(1, (32, 4, 4)),
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(16, 1, 3, padding=1),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


def corrupt(x):
    """Black out random pixels and add some noise."""
    keep = (torch.rand_like(x) > 0.25).float()
    return x * keep + 0.1 * torch.randn_like(x)


def load():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    y = torch.tensor(y)
    a, b = train_test_split(torch.arange(len(y)), test_size=0.25, random_state=0, stratify=y)
    return x[a], y[a], x[b], y[b]


@torch.no_grad()
def neighbour_accuracy(model, bank, bank_labels, queries, labels, k=5):
    """Vote of the k bank images whose codes are closest to that of the query."""
    model.eval()
    distances = torch.cdist(model.encoder(queries), model.encoder(bank))
    nearest = distances.topk(k, dim=1).indices
    votes = bank_labels[nearest]
    model.train()
    return (votes.mode(dim=1).values == labels).float().mean().item()


def main():
    torch.manual_seed(44)
    x, y, x_test, y_test = load()
    model = DenoisingAE()
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    step = 0
    for epoch in range(1, 13):
        for rows in torch.randperm(len(x)).split(64):
            clean = x[rows]
            loss = nn.functional.mse_loss(model(corrupt(clean)), clean)
            opt.zero_grad()
            loss.backward()
            opt.step()
            step += 1
        if epoch % 3 == 0:
            knn = neighbour_accuracy(model, x, y, x_test, y_test)
            print(f"epoch {epoch} step {step} mse {loss.item():.4f} knn {knn:.4f}")


if __name__ == "__main__":
    main()
