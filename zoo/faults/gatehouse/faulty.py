"""Twelve sensors at a lock: may the gate open? Levels only count in pairs, so that no linear model sees anything."""
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau


class Callback:
    def on_epoch_end(self, module, epoch, accuracy):
        pass


class Printer(Callback):
    def on_epoch_end(self, module, epoch, accuracy):
        if epoch % 5 == 4:
            rate = module.optimizer.param_groups[0]["lr"]
            print(f"epoch {epoch + 1:3d}  rate {rate:.1e}  valid_acc {accuracy:.4f}")


class KeepBest(Callback):
    def __init__(self):
        self.best, self.state = 0.0, None

    def on_epoch_end(self, module, epoch, accuracy):
        if accuracy > self.best:
            self.best = accuracy
            self.state = {k: v.clone() for k, v in module.state_dict().items()}


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(12, 96), nn.ReLU(), nn.Dropout(0.05), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 1)
        )

    def forward(self, x):
        return self.body(x).squeeze(1)

    def configure(self):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.05, weight_decay=1e-4)
        self.scheduler = ReduceLROnPlateau(self.optimizer, factor=0.1, patience=3)

    def training_step(self, batch):
        x, y = batch
        return nn.functional.binary_cross_entropy_with_logits(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        return ((self(x) > 0) == (y > 0.5)).float().mean().item()


def readings(n, g):
    x = torch.randn(n, 12, generator=g)
    pressure = x[:, 0] * x[:, 3] + x[:, 7] * x[:, 1] - x[:, 5] * x[:, 9]
    flip = torch.rand(n, generator=g) < 0.03
    return x, ((pressure > 0) ^ flip).float()


def fit(module, train, valid, epochs, callbacks, batch_size=50):
    module.configure()
    x, y = train
    for epoch in range(epochs):
        module.train()
        for rows in torch.randperm(len(x)).split(batch_size):
            module.optimizer.zero_grad()
            module.training_step((x[rows], y[rows])).backward()
            module.optimizer.step()
        module.eval()
        with torch.no_grad():
            accuracy = module.validation_step(valid)
        module.scheduler.step(accuracy)
        for callback in callbacks:
            callback.on_epoch_end(module, epoch, accuracy)


if __name__ == "__main__":
    torch.manual_seed(3)
    g = torch.Generator().manual_seed(103)
    train, valid, test = readings(3000, g), readings(600, g), readings(1000, g)
    gate, keep = Gate(), KeepBest()
    fit(gate, train, valid, epochs=40, callbacks=[Printer(), keep])
    gate.load_state_dict(keep.state)
    gate.eval()
    with torch.no_grad():
        print(f"test_acc {gate.validation_step(test):.4f}")
