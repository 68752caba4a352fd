import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn, optim

torch.manual_seed(0)
data = torch.tensor(load_digits().images, dtype=torch.float32).view(-1, 64) / 16
perm = torch.randperm(len(data))
train_data, test_data = data[perm[:1500]], data[perm[1500:]]


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 100)
        self.fc21 = nn.Linear(100, 8)
        self.fc22 = nn.Linear(100, 8)
        self.fc3 = nn.Linear(8, 100)
        self.fc4 = nn.Linear(100, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc21(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    reconstruction = F.binary_cross_entropy(recon_x, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (reconstruction + divergence) / len(x)


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(1, 31):
    model.train()
    train_loss = 0
    order = torch.randperm(len(train_data))
    for i in range(0, len(order), 64):
        batch = train_data[order[i : i + 64]]
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(batch)
        loss = loss_function(recon_batch, batch, mu, logvar)
        loss.backward()
        train_loss += loss.item() * len(batch)
        optimizer.step()
    if epoch % 5 == 0:
        print(f"epoch {epoch} loss {train_loss / len(train_data):.4f}")
model.eval()
with torch.no_grad():
    recon, mu, logvar = model(test_data)
    print(f"test loss {loss_function(recon, test_data, mu, logvar).item():.4f}")
