"""VAE for the 8x8 numerals on the gate displays (sklearn digits); reports the test negative ELBO up to a constant."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)

LATENT = 8
HIDDEN = 128
BATCH_SIZE = 64
EPOCHS = 50
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.1
SIGMA = 0.2

pixels = load_digits().data / 16.0
train_pixels, test_pixels = train_test_split(pixels, test_size=0.2, random_state=0)
train_x = torch.tensor(train_pixels, dtype=torch.float32)
test_x = torch.tensor(test_pixels, dtype=torch.float32)
loader = DataLoader(TensorDataset(train_x), batch_size=BATCH_SIZE, shuffle=True, drop_last=True)


class NumeralVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, 2 * LATENT),
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, 64), nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        return self.decoder(z), mu, log_var


model = NumeralVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)

for epoch in range(1, EPOCHS + 1):
    model.train()
    recon_sum = kl_sum = 0.0
    for (x,) in loader:
        decoded, mu, log_var = model(x)
        recon = ((decoded - x) / SIGMA).square().sum(dim=1).mean() / 2
        kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(dim=1).mean()
        loss = recon + kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recon_sum += recon.item()
        kl_sum += kl.item()
    scheduler.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch} recon {recon_sum / len(loader):.3f} kl {kl_sum / len(loader):.3f}")

model.eval()
with torch.no_grad():
    bounds = []
    for _ in range(10):
        decoded, mu, log_var = model(test_x)
        recon = ((decoded - test_x) / SIGMA).square().sum(dim=1) / 2
        kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(dim=1)
        bounds.append((recon + kl).mean())
    print(f"reconstruction {recon.mean():.3f} kl {kl.mean():.3f}")
    print(f"test negative elbo {torch.stack(bounds).mean():.4f}")
