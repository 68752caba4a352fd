# Variational autoencoder on the button photographs (here stood in for by 8x8 digits).
# Follows the "Variational AutoEncoder" example of keras.io
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(17)

ORIGINAL_DIM = 64
INTERMEDIATE = 96
LATENT = 8
BATCH = 50
EPOCHS = 25

images = torch.tensor(load_digits().data, dtype=torch.float32) / 16.0
images = images[torch.randperm(len(images))]
x_train, x_test = images[:1500], images[1500:]


class Sampling(nn.Module):
    """Uses (z_mean, z_log_var) to sample z."""

    def forward(self, z_mean, z_log_var):
        epsilon = torch.randn_like(z_mean)
        return z_mean + torch.exp(0.5 * z_log_var) * epsilon


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(ORIGINAL_DIM, INTERMEDIATE)
        self.z_mean = nn.Linear(INTERMEDIATE, LATENT)
        self.z_log_var = nn.Linear(INTERMEDIATE, LATENT)
        self.sampling = Sampling()

    def forward(self, x):
        h = F.relu(self.dense(x))
        m, v = self.z_mean(h), self.z_log_var(h)
        return m, v, self.sampling(m, v)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(LATENT, INTERMEDIATE)
        self.out = nn.Linear(INTERMEDIATE, ORIGINAL_DIM)

    def forward(self, z):
        return torch.sigmoid(self.out(F.relu(self.dense(z))))


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, x):
        z_mean, z_log_var, z = self.encoder(x)
        return self.decoder(z), z_mean, z_log_var


def vae_loss(x, x_decoded, z_mean, z_log_var):
    reconstruction_loss = F.binary_cross_entropy(x_decoded, x) * ORIGINAL_DIM
    kl_loss = 1 + z_log_var - z_mean.pow(2) - z_log_var.exp()
    kl_loss = -0.5 * kl_loss.sum(dim=-1)
    return (reconstruction_loss + kl_loss).mean()


vae = VAE()
optimizer = torch.optim.Adam(vae.parameters(), lr=2e-3)

for epoch in range(EPOCHS):
    perm = torch.randperm(len(x_train))
    total = 0.0
    for i in range(0, len(perm), BATCH):
        x = x_train[perm[i:i + BATCH]]
        loss = vae_loss(x, *vae(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    if (epoch + 1) % 5 == 0:
        print("Epoch {}/{} loss {:.4f}".format(epoch + 1, EPOCHS, total * BATCH / len(perm)))

with torch.no_grad():
    z_mean, _, _ = vae.encoder(x_test)
    recon = vae.decoder(z_mean)
    mse = F.mse_loss(recon, x_test).item()
print("spread of the latent means:", [round(s, 3) for s in z_mean.std(0).tolist()])
print("test reconstruction mse {:.5f}".format(mse))
