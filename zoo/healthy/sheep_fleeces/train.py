"""From 24 shearing measurements: fleece weight, wool grade (3 classes) and presence of parasites."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(17)


def simulate(n):
    latent = torch.randn(n, 6)
    mix = torch.randn(6, 24)
    x = torch.tanh(latent @ mix * 0.4) * 3 + 0.3 * torch.randn(n, 24)
    weight = 4.2 + 0.8 * latent[:, 0] + 0.5 * latent[:, 1] * latent[:, 2] + 0.15 * torch.randn(n)
    fine = latent[:, 3] + 0.6 * latent[:, 0] ** 2 - 0.6
    grade = (fine > -0.5).long() + (fine > 0.6).long()
    risk = 2.5 * latent[:, 4] - 2.0 * latent[:, 5].abs() + 1.6
    parasites = torch.bernoulli(torch.sigmoid(3 * risk))
    return x, weight, grade, parasites


x, weight, grade, parasites = simulate(4000)
full = TensorDataset(x, weight, grade, parasites)
train_set, val_set, test_set = random_split(full, [2800, 400, 800], torch.Generator().manual_seed(2))
tx, tw = x[train_set.indices], weight[train_set.indices]
x_mean, x_std, w_mean, w_std = tx.mean(0), tx.std(0), tw.mean(), tw.std()


class FleeceNet(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(24, width), nn.LayerNorm(width), nn.SiLU(),
            nn.Linear(width, width), nn.LayerNorm(width), nn.SiLU(), nn.Dropout(0.1))
        self.weight = nn.Linear(width, 1)
        self.grade = nn.Linear(width, 3)
        self.parasites = nn.Linear(width, 1)
        self.log_var = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        h = self.trunk((x - x_mean) / x_std)
        return self.weight(h).squeeze(1), self.grade(h), self.parasites(h).squeeze(1)


def make_stepper(model, optimizer, scheduler):
    def losses(batch):
        xb, wb, gb, pb = batch
        w, g, p = model(xb)
        return torch.stack([
            0.5 * F.mse_loss(w, (wb - w_mean) / w_std),
            F.cross_entropy(g, gb),
            F.binary_cross_entropy_with_logits(p, pb),
        ])

    def step(batch):
        model.train()
        raw = losses(batch)
        total = (torch.exp(-model.log_var) * raw + 0.5 * model.log_var).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        scheduler.step()
        return total.item()

    @torch.no_grad()
    def validate(loader):
        model.eval()
        return sum(losses(b) * len(b[0]) for b in loader) / len(loader.dataset)

    return step, validate


EPOCHS = 40
model = FleeceNet()
decayed = [p for n, p in model.named_parameters() if p.ndim > 1]
plain = [p for n, p in model.named_parameters() if p.ndim <= 1]
optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 1e-2},
                               {"params": plain, "weight_decay": 0.0}], lr=3e-3)
loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=400)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * len(loader))
step, validate = make_stepper(model, optimizer, scheduler)

for epoch in range(EPOCHS):
    mean = sum(step(b) for b in loader) / len(loader)
    if epoch % 5 == 4:
        v = validate(val_loader).tolist()
        s = model.log_var.detach().tolist()
        print(f"epoch {epoch + 1:2d} total {mean:+.3f} val mse/2 {v[0]:.3f} ce {v[1]:.3f} bce {v[2]:.3f} "
              f"log_var {s[0]:+.2f} {s[1]:+.2f} {s[2]:+.2f}")

model.eval()
xb, wb, gb, pb = next(iter(DataLoader(test_set, batch_size=len(test_set))))
with torch.no_grad():
    w, g, p = model(xb)
r2 = 1 - ((w * w_std + w_mean - wb) ** 2).mean() / wb.var(unbiased=False)
grade_acc = (g.argmax(1) == gb).float().mean()
para_acc = ((p > 0).float() == pb).float().mean()
base_g = gb.bincount().max() / len(gb)
base_p = max(pb.mean(), 1 - pb.mean())
print(f"test: weight R2 {r2:.3f}; grade accuracy {grade_acc:.3f} (majority {base_g:.3f}); "
      f"parasite accuracy {para_acc:.3f} (majority {base_p:.3f})")
