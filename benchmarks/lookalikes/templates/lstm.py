"""Recognize wave forms sampled by a 12-bit converter."""

from dataclasses import dataclass  #: imports

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    seed: int = 0  #: seed
    hidden: int = 48
    batch_size: int = 64  #: batch_size
    epochs: int = 9  #: epochs
    lr: float = 4e-3  #: rate
    train_size: int = 2400  #: train_size
    test_size: int = 500


class Waves(Dataset):
    """Wave forms of 32 samples: sine, square, saw tooth, triangle and pulse, each with its frequency in hertz."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.kind = np.arange(count) % 5
        self.hertz = rng.uniform(200, 600, count)
        phase = rng.uniform(0, 1, (count, 1)) + self.hertz[:, None] / 6400 * np.arange(32)
        part = phase % 1.0
        signal = np.select(
            [(self.kind == k)[:, None] for k in range(5)],
            [
                np.sin(2 * np.pi * part),
                np.sign(part - 0.5),
                2 * part - 1,
                4 * np.abs(part - 0.5) - 1,
                np.where(part < 0.15, 1.8, -0.3),
            ],
        )
        signal = signal + 0.1 * rng.standard_normal(signal.shape)
        counts = np.round(2048 + 600 * signal)  #: raw
        self.samples = torch.tensor((counts - 2048) / 600, dtype=torch.float32).unsqueeze(-1)  #: samples
        self.targets = torch.tensor(self.kind)  #: targets

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index], self.targets[index]  #: item


class WaveNet(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.project = nn.Linear(2 * hidden, hidden)
        self.norm = nn.LayerNorm(hidden)  #: norm
        self.dropout = nn.Dropout(0.1)  #: dropout
        self.head = nn.Linear(hidden, 5)  #: head

    def forward(self, x):
        states, _ = self.lstm(x)
        pooled = torch.cat([states[:, -1], states.mean(dim=1)], dim=1)
        features = torch.relu(self.norm(self.project(pooled)))
        return self.head(self.dropout(features))  #: output


class Trainer:
    def __init__(self, config):
        self.config = config
        torch.manual_seed(config.seed)
        self.train_loader = DataLoader(
            Waves(config.train_size, config.seed), batch_size=config.batch_size, shuffle=True, drop_last=True
        )
        self.test_loader = DataLoader(self.test_waves(config), batch_size=100)
        self.model = WaveNet(config.hidden)  #: build
        self.criterion = nn.CrossEntropyLoss()  #: criterion
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)  #: optimizer
        self.steps = 0  #: after_optimizer

    def test_waves(self, config):
        waves = Waves(config.test_size, config.seed + 1000)
        order = torch.argsort(waves.targets.flatten())
        waves.samples, waves.targets = waves.samples[order], waves.targets[order]  #: test_samples
        return waves

    def before_step(self):
        self.steps += 1  #: before_step

    def after_step(self):
        """Nothing so far."""  #: after_step

    def fit(self):
        for epoch in range(self.config.epochs):
            train_loss = self.train_epoch()
            test_loss, score = self.evaluate()
            print(f"epoch {epoch}: train loss {train_loss:.4f} test loss {test_loss:.4f} score {score:.3f}")

    def train_epoch(self):
        self.model.train()
        losses = []
        for samples, targets in self.train_loader:
            loss = self.criterion(self.model(samples), targets)  #: loss
            self.before_step()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.after_step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    @torch.inference_mode()
    def evaluate(self):
        model = self.model  #: evaluated
        model.eval()  #: eval
        outputs = torch.cat([model(samples) for samples, _ in self.test_loader])  #: evaluation
        targets = torch.cat([targets for _, targets in self.test_loader])
        score = (outputs.argmax(dim=-1) == targets).float().mean().item()  #: score
        return self.criterion(outputs, targets).item(), score


if __name__ == "__main__":
    Trainer(Config()).fit()
