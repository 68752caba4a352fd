# Fruit from one orchard: weight (regression), variety (4 classes) and worm (yes/no), from 16 sensor readings.
# The three losses are weighted by learned log-variances (Kendall, Gal & Cipolla 2018).
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(40)
N, D = 5000, 16

# ------------------------------------------------------------------ data
latent = torch.randn(N, 5)
mix = torch.randn(5, D) / 5 ** 0.5
sensors = torch.tanh(latent @ mix) * torch.linspace(0.5, 20, D) + torch.linspace(-3, 40, D)
sensors = sensors + 0.02 * sensors.std(0) * torch.randn(N, D)
grams = 150 + 30 * torch.sin(1.5 * latent[:, 0]) + 20 * latent[:, 1] * latent[:, 2] + 3 * torch.randn(N)
variety = (latent[:, 2:4] > 0).long() @ torch.tensor([2, 1])
worm = ((latent[:, 4].square() + latent[:, 0] + 0.2 * torch.randn(N)) > 1.0).float()

full = TensorDataset(sensors, grams, variety, worm)
train_set, test_set = random_split(full, [4000, 1000])
rows = torch.tensor(train_set.indices)
x_mean, x_std = sensors[rows].mean(0), sensors[rows].std(0)
g_mean, g_std = grams[rows].mean(), grams[rows].std()
train_loader = DataLoader(train_set, batch_size=100, shuffle=True)
test_loader = DataLoader(test_set, batch_size=500)


# ------------------------------------------------------------------ model
class Appraiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(D, 96), nn.LayerNorm(96), nn.SiLU(),
            nn.Linear(96, 96), nn.LayerNorm(96), nn.SiLU(),
        )
        self.heads = nn.ModuleDict({
            "grams": nn.Sequential(nn.Linear(96, 32), nn.SiLU(), nn.Linear(32, 1)),
            "variety": nn.Linear(96, 4),
            "worm": nn.Sequential(nn.Linear(96, 32), nn.SiLU(), nn.Linear(32, 1)),
        })
        self.log_var = nn.ParameterDict({k: nn.Parameter(torch.zeros(())) for k in self.heads})

    def forward(self, x):
        h = self.trunk((x - x_mean) / x_std)
        return {name: head(h) for name, head in self.heads.items()}


model = Appraiser()
mse, ce, bce = nn.MSELoss(), nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss()
optimizer = torch.optim.AdamW([
    {"params": [*model.trunk.parameters(), *model.heads.parameters()], "lr": 2e-3, "weight_decay": 1e-3},
    {"params": model.log_var.parameters(), "lr": 5e-3, "weight_decay": 0.0},
])
EPOCHS = 40
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)

# ------------------------------------------------------------------ training
for epoch in range(EPOCHS):
    model.train()
    sums = dict.fromkeys(["total", "grams", "variety", "worm"], 0.0)
    for x, g, v, w in train_loader:
        out = model(x)
        losses = {
            "grams": mse(out["grams"].squeeze(1), (g - g_mean) / g_std),
            "variety": ce(out["variety"], v),
            "worm": bce(out["worm"].squeeze(1), w),
        }
        s = model.log_var
        total = (0.5 * (-s["grams"]).exp() * losses["grams"] + 0.5 * s["grams"]
                 + (-s["variety"]).exp() * losses["variety"] + 0.5 * s["variety"]
                 + (-s["worm"]).exp() * losses["worm"] + 0.5 * s["worm"])
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        sums["total"] += total.item()
        for name, value in losses.items():
            sums[name] += value.item()
    scheduler.step()
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1:2d} " + "  ".join(f"{k} {v / len(train_loader):.3f}" for k, v in sums.items()))

# ------------------------------------------------------------------ test
model.eval()
errors, hits_v, hits_w = [], 0, 0
with torch.no_grad():
    for x, g, v, w in test_loader:
        out = model(x)
        errors.append(out["grams"].squeeze(1) * g_std + g_mean - g)
        hits_v += (out["variety"].argmax(1) == v).sum().item()
        hits_w += ((out["worm"].squeeze(1) > 0).float() == w).sum().item()
residual = torch.cat(errors)
test_grams = grams[torch.tensor(test_set.indices)]
r2 = 1 - residual.square().mean() / test_grams.var()
print(f"test: R2 of the weight {r2:.3f}, variety accuracy {hits_v / len(test_set):.3f} (chance 0.25), "
      f"worm accuracy {hits_w / len(test_set):.3f} (majority {max(worm.mean(), 1 - worm.mean()):.3f})")
