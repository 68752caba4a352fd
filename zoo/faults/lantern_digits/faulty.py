import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


class Module(nn.Module):
    """Base of the experiments: subclasses give the steps and the optimizer."""

    def on_train_epoch_start(self):
        self.train()

    def on_validation_start(self):
        self.eval()

    def on_train_epoch_end(self, epoch, losses):
        print(f"epoch {epoch} train loss {sum(losses) / len(losses):.4f}")

    def on_validation_end(self, outputs):
        pass


class LanternDigits(Module):
    def __init__(self, lr=5e-3):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(
            nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(),
            nn.Linear(96, 48), nn.BatchNorm1d(48), nn.ReLU(),
            nn.Linear(48, 10),
        )

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        return (self(x).argmax(1) == y).sum().item(), len(y)

    def on_validation_end(self, outputs):
        right = sum(r for r, _ in outputs)
        seen = sum(n for _, n in outputs)
        print(f"  hit rate {right / seen:.3f}")

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=1e-2)


class Loop:
    def __init__(self, max_epochs):
        self.max_epochs = max_epochs

    def fit(self, module, train_batches, val_batches):
        optimizer = module.configure_optimizers()
        for epoch in range(1, self.max_epochs + 1):
            module.on_train_epoch_start()
            losses = []
            for batch in train_batches():
                optimizer.zero_grad()
                loss = module.training_step(batch)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            module.on_train_epoch_end(epoch, losses)
            self.validate(module, val_batches)

    @torch.no_grad()
    def validate(self, module, val_batches):
        module.on_validation_end([module.validation_step(batch) for batch in val_batches()])


def main():
    torch.manual_seed(30)
    x, y = load_digits(return_X_y=True)
    x_tr, x_va, y_tr, y_va = train_test_split(x, y, test_size=0.3, stratify=y, random_state=5)
    x_tr, x_va = (torch.tensor(a / 8 - 1, dtype=torch.float32) for a in (x_tr, x_va))
    y_tr, y_va = torch.tensor(y_tr), torch.tensor(y_va)
    by_label = torch.argsort(y_va)

    def train_batches():
        for idx in torch.randperm(len(x_tr))[: len(x_tr) // 32 * 32].split(32):
            yield x_tr[idx], y_tr[idx]

    def val_batches():
        for idx in by_label.split(27):
            yield x_va[idx], y_va[idx]

    Loop(max_epochs=6).fit(LanternDigits(), train_batches, val_batches)


main()
