import torch
import torch.nn as nn
import torch.nn.functional as F

VOCAB, LENGTH = 12, 10


class TinyTransformer(nn.Module):
    def __init__(self, d=32, heads=4, layers=2):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, d)
        self.pos = nn.Parameter(0.02 * torch.randn(LENGTH, d))
        block = nn.TransformerEncoderLayer(d, heads, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.lm = nn.Linear(d, VOCAB)

    def forward(self, ids):
        return self.lm(self.enc(self.tok(ids) + self.pos))


def sample(n):
    ids = torch.randint(0, VOCAB, (n, LENGTH))
    return ids, (ids.flip(1) + 1) % VOCAB


def main(steps=500):
    torch.manual_seed(0)
    model = TinyTransformer()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.15, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    xv, yv = sample(256)
    for it in range(1, steps + 1):
        x, y = sample(64)
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x).transpose(1, 2), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        if it % 50 == 0:
            model.eval()
            with torch.no_grad():
                acc = (model(xv).argmax(-1) == yv).float().mean().item()
            model.train()
            print(f"step {it} loss {loss.item():.4f} acc {acc:.3f}")


if __name__ == "__main__":
    main()
