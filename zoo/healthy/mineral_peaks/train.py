"""Raman lines of mineral samples: a sum of Lorentzians on a slope, fitted with L-BFGS.

The loss is half the mean squared residual in units of the known noise, so a good
fit ends at about one half and a smaller value would be overfitting.
"""
import os

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
SAMPLES, POINTS, NOISE = 60, 240, 0.03
torch.set_default_dtype(torch.float64)


def measure(rng):
    lines = rng.integers(3, 6)
    while True:
        centre = np.sort(rng.uniform(20, 220, lines))
        if np.diff(centre).min() > 22:
            break
    width = rng.uniform(2.5, 6.0, lines)
    height = rng.uniform(0.5, 2.0, lines)
    slope = rng.uniform(-0.3, 0.3, 2)
    grid = np.arange(POINTS)
    y = (height / (1 + ((grid[:, None] - centre) / width) ** 2)).sum(1) + slope[0] + slope[1] * grid / POINTS
    return y + NOISE * rng.normal(size=POINTS), centre, width, height


def first_guess(y, lines):
    smooth = gaussian_filter1d(y, 2.0)
    peaks, info = find_peaks(smooth, prominence=0.1)
    strongest = peaks[np.argsort(info["prominences"])[::-1][:lines]]
    return np.sort(strongest)


class Lines(nn.Module):
    def __init__(self, centres, y):
        super().__init__()
        base = float(np.median(y))
        self.centre = nn.Parameter(torch.tensor(centres, dtype=torch.float64))
        self.log_width = nn.Parameter(torch.full((len(centres),), np.log(5.0)))
        self.log_height = nn.Parameter(torch.tensor(np.log(np.maximum(y[centres] - base, 0.1))))
        self.base = nn.Parameter(torch.tensor([base, 0.0]))

    def forward(self, grid):
        u = (grid[:, None] - self.centre) * torch.exp(-self.log_width)
        return (torch.exp(self.log_height) / (1 + u ** 2)).sum(1) + self.base[0] + self.base[1] * grid / POINTS


def fit(model, grid, y):
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=40, history_size=20,
                                  tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = 0.5 * ((model(grid) - y) / NOISE).square().mean()
        loss.backward()
        return loss

    losses = []
    for _ in range(3):
        losses.append(optimizer.step(closure).item())      # the loss before the step
    with torch.no_grad():
        losses.append(0.5 * ((model(grid) - y) / NOISE).square().mean().item())
    return losses


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    grid = torch.arange(POINTS, dtype=torch.float64)
    shift, width_error, height_error, chi = [], [], [], []
    for sample in range(SAMPLES):
        y, centre, width, height = measure(rng)
        guess = first_guess(y, len(centre))
        if len(guess) < len(centre):
            print(f"sample {sample:2d}: a line was not found, skipped")
            continue
        model = Lines(guess, y)
        losses = fit(model, grid, torch.from_numpy(y))
        c = model.centre.detach().numpy()
        order = np.argsort(c)
        w = model.log_width.exp().detach().numpy()[order]
        h = model.log_height.exp().detach().numpy()[order]
        shift.extend(np.abs(c[order] - centre))
        width_error.extend(np.abs(w / width - 1))
        height_error.extend(np.abs(h / height - 1))
        chi.append(2 * losses[-1] * POINTS / (POINTS - 3 * len(centre) - 2))
        if sample % 6 == 0:
            print(f"sample {sample:2d}: {len(centre)} lines, loss " + " -> ".join(f"{v:.4f}" for v in losses))
    print(f"{len(chi)} samples fitted: reduced chi-square {np.mean(chi):.3f} (should be 1)")
    print(f"median errors: position {np.median(shift):.3f} channels, width {100 * np.median(width_error):.2f} %, "
          f"height {100 * np.median(height_error):.2f} %")


if __name__ == "__main__":
    main()
