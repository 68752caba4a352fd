import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(29)

clean = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 16
clean = clean[torch.randperm(len(clean))]
fade = 0.4 + 0.4 * torch.rand(len(clean), 1, 1, 1)
spots = (torch.rand_like(clean) < 0.12).float()
faded = (clean * fade + 0.08 * torch.randn_like(clean)) * (1 - spots)

n_train = 1400
batch_size = 32
print_loader = DataLoader(TensorDataset(faded[:n_train]), batch_size=batch_size, shuffle=True)
original_loader = DataLoader(TensorDataset(clean[:n_train]), batch_size=batch_size, shuffle=True)


class Restorer(nn.Module):
    def __init__(self, ch=24):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(1, ch, 3, padding=1), nn.BatchNorm2d(ch), nn.LeakyReLU(0.1),
            nn.Conv2d(ch, ch, 3, stride=2, padding=1), nn.BatchNorm2d(ch), nn.LeakyReLU(0.1),
        )
        self.up = nn.Sequential(nn.ConvTranspose2d(ch, ch, 2, stride=2), nn.LeakyReLU(0.1))
        self.last = nn.Conv2d(ch + 1, 1, 3, padding=1)

    def forward(self, x):
        return torch.sigmoid(self.last(torch.cat([self.up(self.down(x)), x], dim=1)))


net = Restorer()
mse = nn.MSELoss()
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
for epoch in range(6):
    net.train()
    losses = []
    for (prints,), (originals,) in zip(print_loader, original_loader):
        loss = mse(net(prints), originals)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        error = mse(net(faded[n_train:]), clean[n_train:])
        psnr = -10 * torch.log10(error)
    print(f"epoch {epoch} mse {sum(losses) / len(losses):.4f} psnr {psnr.item():.2f} dB")
