"""Grade wool from what the fibre counter measures. A module with hooks, and a small loop that calls them."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


class GradingModule(nn.Module):
    def __init__(self, n_features: int, n_grades: int, lr: float = 0.05):
        super().__init__()
        self.lr = lr
        self.body = nn.Sequential(
            nn.Linear(n_features, 64), nn.BatchNorm1d(64), nn.ReLU(),
            nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(),
            nn.Linear(64, n_grades),
        )  # fmt: skip
        self.right, self.seen = 0, 0

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9, weight_decay=1e-4)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.3)

    def training_step(self, batch):
        x, y = batch
        return nn.functional.cross_entropy(self.body(x), y)

    def validation_step(self, batch):
        x, y = batch
        self.right += (self.body(x).argmax(1) == y).sum().item()
        self.seen += len(y)

    def on_validation_end(self):
        accuracy, self.right, self.seen = self.right / self.seen, 0, 0
        return accuracy


class Loop:
    def __init__(self, max_epochs: int):
        self.max_epochs = max_epochs

    def on_batch_end(self):
        self.optimizer.zero_grad()
        self.batches += 1
        self.scheduler.step()

    def on_epoch_end(self, epoch: int, accuracy: float):
        if epoch % 3 == 2:
            print(f"after {self.batches} batches: loss {self.loss:.4f}, held-out accuracy {accuracy:.4f}")

    def fit(self, module: GradingModule, train: DataLoader, val: DataLoader):
        self.optimizer, self.scheduler = module.configure_optimizers()
        self.batches = 0
        for epoch in range(self.max_epochs):
            module.train()
            for batch in train:
                loss = module.training_step(batch)
                loss.backward()
                self.optimizer.step()
                self.on_batch_end()
            self.loss = loss.item()
            module.eval()
            with torch.no_grad():
                for batch in val:
                    module.validation_step(batch)
            self.on_epoch_end(epoch, module.on_validation_end())


def loaders(seed: int = 71):
    torch.manual_seed(seed)
    x, y = make_classification(
        2400, 20, n_informative=12, n_redundant=3, n_classes=6, n_clusters_per_class=2, class_sep=1.6, flip_y=0.0, random_state=seed
    )
    x, x_val, y, y_val = train_test_split(x, y, test_size=0.25, stratify=y, random_state=seed)
    scaler = StandardScaler().fit(x)

    def pack(features, grades):
        return TensorDataset(torch.tensor(scaler.transform(features), dtype=torch.float32), torch.tensor(grades))

    return DataLoader(pack(x, y), batch_size=60, shuffle=True), DataLoader(pack(x_val, y_val), batch_size=200)


if __name__ == "__main__":
    train, val = loaders()
    Loop(max_epochs=15).fit(GradingModule(20, 6), train, val)
