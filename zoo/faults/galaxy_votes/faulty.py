import math

import torch
import torch.nn as nn
import torch.nn.functional as F

KINDS = ("smooth", "edge-on", "spiral", "artefact")


def render(n: int, g: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Small galaxy pictures and the share of volunteers who voted for each kind."""
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, 20), torch.linspace(-1, 1, 20), indexing="ij")
    angle = torch.rand(n, 1, 1, generator=g) * math.pi
    axis = 0.15 + 0.85 * torch.rand(n, 1, 1, generator=g)
    arms = torch.rand(n, 1, 1, generator=g)
    size = 0.35 + 0.2 * torch.rand(n, 1, 1, generator=g)
    u = xx * angle.cos() + yy * angle.sin()
    v = (yy * angle.cos() - xx * angle.sin()) / axis
    radius = (u**2 + v**2).sqrt()
    swirl = torch.cos(2 * torch.atan2(v, u) - 7 * radius)
    img = torch.exp(-radius / size) * (1 + arms * swirl)
    noise = 0.05 + 0.25 * torch.rand(n, 1, 1, generator=g)
    img = img + noise * torch.randn(n, 20, 20, generator=g)

    belief = torch.stack([1.5 - 2 * arms, 3.0 - 7 * axis, 4 * arms - 1.5, 10 * noise - 2.5], dim=1)
    p = belief.reshape(n, 4).softmax(1)
    votes = torch.multinomial(p, 40, replacement=True, generator=g)
    share = F.one_hot(votes, len(KINDS)).float().mean(1)
    return ((img - 0.3) / 0.4).unsqueeze(1), share


class VoteNet(nn.Module):
    def __init__(self, width: int = 12):
        super().__init__()
        self.c1 = nn.Conv2d(1, width, 5, padding=2)
        self.c2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.fc = nn.Linear(2 * width * 25, 48)
        self.out = nn.Linear(48, len(KINDS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.out(F.relu(self.fc(x.flatten(1))))


def vote_loss(scores: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    predicted = F.softmax(scores, dim=1)
    return F.kl_div(predicted, share, reduction="batchmean")


@torch.no_grad()
def distance(model: nn.Module, x: torch.Tensor, share: torch.Tensor) -> float:
    """Mean total variation distance between predicted and counted shares."""
    model.eval()
    p = model(x).softmax(1)
    model.train()
    return 0.5 * (p - share).abs().sum(1).mean().item()


def main() -> None:
    torch.manual_seed(8)
    g = torch.Generator().manual_seed(108)
    x, share = render(1600, g)
    x_test, share_test = render(400, g)
    model = VoteNet()
    opt = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=1e-2)
    for epoch in range(8):
        running = 0.0
        for idx in torch.randperm(len(x)).split(50):
            loss = vote_loss(model(x[idx]), share[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            running += loss.item() * len(idx) / len(x)
        print(f"epoch {epoch} loss {running:.4f} distance {distance(model, x_test, share_test):.4f}")


if __name__ == "__main__":
    main()
