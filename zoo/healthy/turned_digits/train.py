import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, rank: int = 4, alpha: float = 8.0):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scale * F.linear(F.linear(x, self.down), self.up)


class Mixer(nn.Module):
    """Patches of 2x2 pixels, mixed over space and over channels."""

    def __init__(self, dim=32, patches=16, classes=10):
        super().__init__()
        self.embed = nn.Linear(4, dim)
        self.space = nn.ModuleList(nn.Linear(patches, patches) for _ in range(2))
        self.channel = nn.ModuleList(nn.Linear(dim, dim) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))
        self.head = nn.Linear(dim * patches, classes)

    def forward(self, x):
        x = F.unfold(x, 2, stride=2).transpose(1, 2)
        h = self.embed(x)
        for i in range(2):
            h = h + F.gelu(self.space[i](self.norms[2 * i](h).transpose(1, 2))).transpose(1, 2)
            h = h + F.gelu(self.channel[i](self.norms[2 * i + 1](h)))
        return self.head(h.flatten(1))


def add_lora(model: nn.Module, rank: int) -> list[nn.Parameter]:
    model.requires_grad_(False)
    new = []
    for name in ("space", "channel"):
        layers = getattr(model, name)
        for i, layer in enumerate(layers):
            layers[i] = LoRALinear(layer, rank)
            new += [layers[i].down, layers[i].up]
    return new


def fit(model, loader, params, lr, epochs, tag):
    opt = torch.optim.AdamW(params, lr=lr, weight_decay=0.0)
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(y)
        if epoch % max(1, epochs // 4) == 0:
            print(f"{tag} epoch {epoch}: loss {total / len(loader.dataset):.3f}")


@torch.inference_mode()
def score(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(17)
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(d.target)
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    turned = torch.rot90(x, 1, (2, 3))

    model = Mixer()
    upright = DataLoader(TensorDataset(x[:900], y[:900]), batch_size=50, shuffle=True)
    fit(model, upright, model.parameters(), 2e-3, 16, "upright")
    print(f"upright {score(model, x[1400:], y[1400:]):.3f}, turned {score(model, turned[1400:], y[1400:]):.3f}")

    lora = add_lora(model, rank=6)
    n_all = sum(p.numel() for p in model.parameters())
    print(f"adapting {sum(p.numel() for p in lora)} of {n_all} weights")
    tilted = DataLoader(TensorDataset(turned[900:1400], y[900:1400]), batch_size=50, shuffle=True)
    fit(model, tilted, lora, 5e-3, 40, "turned")
    print(f"accuracy on turned digits {score(model, turned[1400:], y[1400:]):.3f}")


main()
