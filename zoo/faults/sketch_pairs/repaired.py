"""Find the photo that belongs to a sketch: two towers, and the other pairs of the batch as negatives."""
import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def make_pairs(n: int, styles: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    things = torch.randn(n, 12)
    sketches = torch.tanh(things @ styles[0]) + 0.6 * torch.randn(n, 40)
    photos = torch.tanh(things @ styles[1]) + 0.6 * torch.randn(n, 60)
    return sketches, photos


def tower(n_in: int, width: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, n_out))


def pair_loss(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    logits = a @ b.t() / temperature
    own = torch.arange(len(a))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.t(), own)) / 2


@torch.no_grad()
def recall(sketch_tower: nn.Module, photo_tower: nn.Module, sketches: Tensor, photos: Tensor) -> float:
    sketch_tower.eval(), photo_tower.eval()
    a, b = F.normalize(sketch_tower(sketches), dim=1), F.normalize(photo_tower(photos), dim=1)
    sketch_tower.train(), photo_tower.train()
    return ((a @ b.t()).argmax(1) == torch.arange(len(a))).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--temperature", type=float, default=0.1)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=16)
    args = parser.parse_args()

    torch.manual_seed(101)
    styles = torch.randn(12, 40) / 3, torch.randn(12, 60) / 3
    train_s, train_p = make_pairs(1600, styles)
    test_s, test_p = make_pairs(500, styles)
    sketch_tower, photo_tower = tower(40, 96, 24), tower(60, 96, 24)
    opt = torch.optim.AdamW([*sketch_tower.parameters(), *photo_tower.parameters()], lr=args.lr, weight_decay=1e-4)
    for epoch in range(1, args.epochs + 1):
        for rows in torch.randperm(len(train_s)).split(args.batch):
            loss = pair_loss(sketch_tower(train_s[rows]), photo_tower(train_p[rows]), args.temperature)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
        if epoch % 4 == 0:
            print(f"epoch {epoch:2d}  loss {loss.item():.4f}  recall@1 {recall(sketch_tower, photo_tower, test_s, test_p):.4f}")


if __name__ == "__main__":
    main()
