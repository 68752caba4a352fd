"""How much a tile shrinks in the kiln, from its clay and the firing curve."""
import torch
import torch.nn as nn


class Module(nn.Module):
    """The few hooks that the loop below calls."""

    def on_epoch_end(self, epoch, losses):
        pass


class ShrinkageModel(Module):
    def __init__(self, n_features, widths=(96, 96), drop=0.9):
        super().__init__()
        layers, n = [], n_features
        for w in widths:
            layers += [nn.Linear(n, w), nn.ReLU(), nn.Dropout(drop)]
            n = w
        self.body = nn.Sequential(*layers, nn.Linear(n, 1))
        self.loss_fn = nn.MSELoss()
        self.history = []

    def forward(self, x):
        return self.body(x).squeeze(-1)

    def training_step(self, batch):
        x, y = batch
        return self.loss_fn(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        return 1 - ((self(x) - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=2e-3)

    def on_epoch_end(self, epoch, losses):
        self.history.append(sum(losses) / len(losses))


class Loop:
    def __init__(self, epochs):
        self.epochs = epochs

    def fit(self, module, train, val):
        optimizer = module.configure_optimizers()
        for epoch in range(self.epochs):
            module.train()
            losses = []
            for batch in train:
                optimizer.zero_grad()
                loss = module.training_step(batch)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            module.on_epoch_end(epoch, losses)
            if epoch % 5 == 4:
                module.eval()
                with torch.no_grad():
                    r2 = module.validation_step(val).item()
                print(f"epoch {epoch + 1:2d}  mse {module.history[-1]:.3f}  r2 {r2:.3f}")


def tiles(n):
    clay = torch.rand(n, 8)
    x = (clay - 0.5) / 0.29
    y = x[:, 0] * x[:, 1] + 0.8 * torch.sin(2 * x[:, 2]) + 0.7 * x[:, 3].clamp(min=0) - 0.5 * x[:, 4] * (x[:, 5] > 0)
    return x, y + 0.1 * torch.randn(n)


torch.manual_seed(17)
x, y = tiles(2400)
x_train, y_train, x_val, y_val = x[:1800], y[:1800], x[1800:], y[1800:]
mean, std = y_train.mean(), y_train.std()
train_set = torch.utils.data.TensorDataset(x_train, (y_train - mean) / std)
train_loader = torch.utils.data.DataLoader(train_set, batch_size=64, shuffle=True)
Loop(epochs=30).fit(ShrinkageModel(8), train_loader, (x_val, (y_val - mean) / std))
