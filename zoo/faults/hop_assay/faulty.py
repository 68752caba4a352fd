"""Two answers from one near-infrared scan of hops: the alpha acid, and which of four gardens they grew in."""
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F

BANDS = 80


class Scans(NamedTuple):
    spectra: torch.Tensor
    acid: torch.Tensor
    garden: torch.Tensor


def bump(center, width):
    return torch.exp(-0.5 * ((torch.linspace(0, 1, BANDS) - center) / width) ** 2)


def scan_hops(n, gen):
    acid = 4 + 10 * torch.rand(n, generator=gen)
    garden = torch.randint(4, (n,), generator=gen)
    water = torch.rand(n, generator=gen)
    soil = torch.tensor([[0.8, 0.2, 0.1], [0.3, 0.9, 0.3], [0.1, 0.4, 0.9], [0.6, 0.6, 0.6]])[garden]
    soil = soil + 0.1 * torch.randn(n, 3, generator=gen)
    spectra = acid[:, None] / 14 * bump(0.55, 0.05) + water[:, None] * bump(0.5, 0.2)
    for k, center in enumerate((0.15, 0.3, 0.8)):
        spectra = spectra + 0.5 * soil[:, k : k + 1] * bump(center, 0.06)
    spectra = spectra * (1 + 0.04 * torch.randn(n, 1, generator=gen)) + 0.02 * torch.randn(n, BANDS, generator=gen)
    return Scans(spectra, acid, garden)


class Assay(nn.Module):
    def __init__(self, width=96, p=0.3):
        super().__init__()
        self.inp = nn.Linear(BANDS, width)
        self.mid = nn.Linear(width, width)
        self.acid_head = nn.Linear(width, 1)
        self.garden_head = nn.Linear(width, 4)
        self.p = p

    def forward(self, spectra):
        h = nn.Dropout(self.p)(F.relu(self.inp(spectra)))
        h = nn.Dropout(self.p)(F.relu(self.mid(h)))
        return self.acid_head(h).squeeze(1), self.garden_head(h)


def main():
    gen = torch.Generator().manual_seed(5)
    torch.manual_seed(5)
    train, test = scan_hops(1200, gen), scan_hops(400, gen)
    mu, sd = train.spectra.mean(0), train.spectra.std(0)
    acid_mu, acid_sd = train.acid.mean(), train.acid.std()
    model = Assay()
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
    lr_plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=30)
    for epoch in range(1, 31):
        model.train()
        for i in torch.randperm(len(train.acid)).split(30):
            acid, garden = model((train.spectra[i] - mu) / sd)
            loss = F.mse_loss(acid, (train.acid[i] - acid_mu) / acid_sd) + F.cross_entropy(garden, train.garden[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
        lr_plan.step()
        if epoch % 5 == 0:
            model.eval()
            with torch.no_grad():
                acid, garden = model((test.spectra - mu) / sd)
            rmse = (acid * acid_sd + acid_mu - test.acid).square().mean().sqrt()
            hit = (garden.argmax(1) == test.garden).float().mean()
            print(f"epoch {epoch} loss {loss.item():.3f} garden {hit:.3f} alpha acid rmse {rmse:.3f} %")


if __name__ == "__main__":
    main()
