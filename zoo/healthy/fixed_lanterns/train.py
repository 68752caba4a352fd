"""Deep equilibrium model on handwritten digits: the hidden layer is a fixed point z = tanh(W z + U x + b)."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


def settle(f, start, most=60, tol=1e-4):
    """Iterate a contraction; returns the point and the number of rounds."""
    z = start
    for k in range(1, most + 1):
        new = f(z)
        moved = (new - z).norm() / (1e-8 + new.norm())
        z = new
        if moved < tol:
            break
    return z, k


class Equilibrium(nn.Module):
    def __init__(self, inputs, width, pull=0.9):
        super().__init__()
        self.pull = pull
        self.inject = nn.Linear(inputs, width)
        self.weight = nn.Parameter(torch.randn(width, width) / width ** 0.5)
        self.rounds = [0, 0]

    def forward(self, x):
        # the spectral norm of w is `pull`, so that tanh(w z + c) has one point of rest
        w = self.pull * self.weight / torch.linalg.matrix_norm(self.weight, 2)
        c = self.inject(x)
        with torch.no_grad():
            z, self.rounds[0] = settle(lambda z: torch.tanh(z @ w.T + c), torch.zeros_like(c))
        if not torch.is_grad_enabled():
            return z
        z = torch.tanh(z @ w.T + c)
        z0 = z.detach().requires_grad_()
        f0 = torch.tanh(z0 @ w.detach().T + c.detach())

        def implicit(grad):
            # solves g = J^T g + grad, the gradient at the point of rest
            g, self.rounds[1] = settle(
                lambda g: torch.autograd.grad(f0, z0, g, retain_graph=True)[0] + grad, grad)
            return g

        z.register_hook(implicit)
        return z


class Lanterns(nn.Module):
    def __init__(self, inputs=64, width=80, classes=10):
        super().__init__()
        self.core = Equilibrium(inputs, width)
        self.drop = nn.Dropout(0.2)
        self.read = nn.Linear(width, classes)

    def forward(self, x):
        return self.read(self.drop(self.core(x)))


def batches(x, y, size, generator):
    for rows in torch.randperm(len(x), generator=generator).split(size):
        yield x[rows], y[rows]


def main():
    torch.manual_seed(9)
    digits = load_digits()
    xtr, xte, ytr, yte = train_test_split(digits.data, digits.target, test_size=0.25, stratify=digits.target, random_state=9)
    xtr, xte = torch.tensor(xtr, dtype=torch.float32), torch.tensor(xte, dtype=torch.float32)
    ytr, yte = torch.tensor(ytr), torch.tensor(yte)
    mean, std = xtr.mean(), xtr.std()
    xtr, xte = (xtr - mean) / std, (xte - mean) / std

    model = Lanterns()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    generator = torch.Generator().manual_seed(9)
    epochs = 20
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for xb, yb in batches(xtr, ytr, 64, generator):
            optimizer.zero_grad()
            loss = loss_fn(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(xb)
        scheduler.step()
        if epoch % 4 == 3:
            print(f"epoch {epoch + 1:2d}  loss {total / len(xtr):.4f}  "
                  f"rounds to settle: forward {model.core.rounds[0]}, backward {model.core.rounds[1]}")
    model.eval()
    with torch.no_grad():
        accuracy = (model(xte).argmax(1) == yte).float().mean().item()
    print(f"test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
