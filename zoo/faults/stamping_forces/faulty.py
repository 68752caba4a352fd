"""Conditional GAN: simulate (peak force, stroke time) of a stamping line for a given sheet thickness."""
import logging
from dataclasses import dataclass

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger(__name__)

torch.manual_seed(8)


@dataclass
class LineConfig:
    n_strokes: int = 4096
    noise_dim: int = 4
    hidden: int = 64
    batch_size: int = 128
    epochs: int = 45
    lr: float = 1e-3


def physical_response(thickness: torch.Tensor) -> torch.Tensor:
    force = 40 + 60 * thickness + 25 * torch.sin(4 * thickness)
    stroke = 1.8 - 0.5 * thickness ** 2
    return torch.cat([force, stroke], dim=1)


def record_strokes(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    thickness = torch.rand(n, 1) * 1.5 + 0.2
    spread = torch.tensor([3.0, 0.04])
    return thickness, physical_response(thickness) + spread * torch.randn(n, 2)


class Net(nn.Module):
    def __init__(self, n_in: int, n_out: int, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_in, hidden), nn.LeakyReLU(0.2),
            nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
            nn.Linear(hidden, n_out),
        )

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        return self.body(torch.cat(parts, dim=1))


class StrokeGANTrainer:
    def __init__(self, cfg: LineConfig) -> None:
        self.cfg = cfg
        thickness, strokes = record_strokes(cfg.n_strokes)
        self.t_mean, self.t_std = thickness.mean(0), thickness.std(0)
        self.s_mean, self.s_std = strokes.mean(0), strokes.std(0)
        conditions = (thickness - self.t_mean) / self.t_std
        responses = (strokes - self.s_mean) / self.s_std
        self.condition_loader = DataLoader(TensorDataset(conditions), batch_size=cfg.batch_size, shuffle=True)
        self.response_loader = DataLoader(TensorDataset(responses), batch_size=cfg.batch_size, shuffle=True)

        self.generator = Net(1 + cfg.noise_dim, 2, cfg.hidden)
        self.discriminator = Net(1 + 2, 1, cfg.hidden)
        self.opt_g = torch.optim.Adam(self.generator.parameters(), lr=cfg.lr, betas=(0.5, 0.999))
        self.opt_d = torch.optim.Adam(self.discriminator.parameters(), lr=cfg.lr, betas=(0.5, 0.999))
        self.bce = nn.BCEWithLogitsLoss()

    def batches(self):
        for (condition,), (response,) in zip(self.condition_loader, self.response_loader):
            yield condition, response

    def generate(self, condition: torch.Tensor) -> torch.Tensor:
        return self.generator(condition, torch.randn(len(condition), self.cfg.noise_dim))

    def discriminator_step(self, condition: torch.Tensor, response: torch.Tensor) -> float:
        response = response.clone().requires_grad_(True)
        real = self.discriminator(condition, response)
        fake = self.discriminator(condition, self.generate(condition).detach())
        (slope,) = torch.autograd.grad(real.sum(), response, create_graph=True)
        loss = self.bce(real, torch.ones_like(real)) + self.bce(fake, torch.zeros_like(fake))
        loss = loss + 0.05 * slope.square().sum(dim=1).mean()
        self.opt_d.zero_grad()
        loss.backward()
        self.opt_d.step()
        return loss.item()

    def generator_step(self, condition: torch.Tensor) -> float:
        score = self.discriminator(condition, self.generate(condition))
        loss = self.bce(score, torch.ones_like(score))
        self.opt_g.zero_grad()
        loss.backward()
        self.opt_g.step()
        return loss.item()

    def fit(self) -> None:
        for epoch in range(1, self.cfg.epochs + 1):
            history = [(self.discriminator_step(c, r), self.generator_step(c)) for c, r in self.batches()]
            if epoch % 10 == 0:
                d_loss, g_loss = torch.tensor(history).mean(0).tolist()
                log.info("epoch %d d_loss %.3f g_loss %.3f", epoch, d_loss, g_loss)

    @torch.no_grad()
    def response_error(self) -> float:
        thickness = torch.linspace(0.25, 1.65, 50).unsqueeze(1)
        condition = ((thickness - self.t_mean) / self.t_std).repeat_interleave(64, dim=0)
        simulated = self.generate(condition).view(50, 64, 2).mean(dim=1)
        expected = (physical_response(thickness) - self.s_mean) / self.s_std
        return (simulated - expected).abs().mean().item()


trainer = StrokeGANTrainer(LineConfig())
trainer.fit()
print(f"mean response error {trainer.response_error():.4f}")
