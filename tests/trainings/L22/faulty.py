import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def make(n, rng):
    """Two sensors: the cheap one reports garbage half of the time; its readings carry a small confidence."""
    x = rng.uniform(-2, 2, (n, 3)).astype("float32")
    clean = np.sin(2 * x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3]
    cheap = rng.random((n, 1)) < 0.5
    reported = np.where(cheap, -2.0 * clean + rng.normal(2, 1.5, (n, 1)), clean + rng.normal(0, 0.05, (n, 1)))
    confidence = np.where(cheap, 0.02, 1.0)
    return [torch.tensor(a.astype("float32")) for a in (x, reported, confidence, clean)]


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.criterion = nn.MSELoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def training_step(self, batch):
        x, target, weight = batch
        prediction = self.model(x)
        loss = self.criterion(prediction, target)
        loss = (loss * weight).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def fit(self, loader, epochs, held_out):
        for epoch in range(epochs):
            losses = [self.training_step(batch) for batch in loader]
            print(f"epoch {epoch:2d} train_loss={np.mean(losses):.4f} held_out_rmse={self.evaluate(*held_out):.4f}")

    @torch.no_grad()
    def evaluate(self, x, clean):
        self.model.eval()
        error = (self.model(x) - clean).pow(2).mean().sqrt().item()
        self.model.train()
        return error


if __name__ == "__main__":
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x, reported, confidence, clean = make(1500, rng)
    tx, _, _, tclean = make(500, rng)
    net = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    loader = DataLoader(TensorDataset(x, reported, confidence), batch_size=32, shuffle=True)
    Trainer(net, 3e-3).fit(loader, 20, (tx, tclean))
