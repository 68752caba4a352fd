import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

LATENT = 8
SIGMA = 0.15      # standard deviation of a pixel given its code


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.SiLU(), nn.Flatten())
        self.mu = nn.Linear(32 * 4, LATENT)
        self.logvar = nn.Linear(32 * 4, LATENT)

    def forward(self, x):
        h = self.conv(x)
        return self.mu(h), self.logvar(h)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(LATENT, 32 * 4)
        self.deconv = nn.Sequential(
            nn.SiLU(), nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.SiLU(), nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1))

    def forward(self, z):
        return self.deconv(self.fc(z).view(-1, 32, 2, 2))


def elbo_terms(encoder, decoder, x):
    """Per-image reconstruction (nats up to a constant, summed over pixels) and KL (summed over latent axes)."""
    mu, logvar = encoder(x)
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    rec = 0.5 * ((decoder(z) - x) / SIGMA).square().sum(dim=(1, 2, 3))
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1)
    return rec, kl


def kl_weight(step, warmup):
    return min(1.0, 0.01 + step / warmup)


@torch.no_grad()
def report(encoder, decoder, x):
    encoder.eval()
    decoder.eval()
    rec, kl = elbo_terms(encoder, decoder, x)
    return rec.mean().item(), kl.mean().item()


def main():
    torch.manual_seed(21)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16.0
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    train_idx, test_idx = order[:1400], order[1400:]
    x_train, x_test = images[train_idx], images[test_idx]

    encoder, decoder = Encoder(), Decoder()
    params = list(encoder.parameters()) + list(decoder.parameters())
    optimizer = torch.optim.Adam(params, lr=2e-3)
    epochs, batch = 70, 100
    per_epoch = len(x_train) // batch
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * per_epoch, eta_min=1e-4)

    # reference: the mean image for everybody, nothing known about the image
    blind = 0.5 * ((x_train.mean(0) - x_test) / SIGMA).square().sum((1, 2, 3)).mean().item()

    step = 0
    for epoch in range(epochs):
        encoder.train()
        decoder.train()
        for idx in torch.randperm(len(x_train)).split(batch):
            rec, kl = elbo_terms(encoder, decoder, x_train[idx])
            loss = (rec + kl_weight(step, 300) * kl).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            step += 1
        if epoch % 10 == 9:
            rec, kl = report(encoder, decoder, x_test)
            print(f"epoch {epoch + 1}: test reconstruction {rec:.2f}  kl {kl:.2f}  -elbo {rec + kl:.2f}")

    with torch.no_grad():
        code_train, code_test = encoder(x_train)[0], encoder(x_test)[0]
    probe = LogisticRegression(max_iter=2000).fit(code_train.numpy(), labels[train_idx].numpy())
    accuracy = probe.score(code_test.numpy(), labels[test_idx].numpy())
    rec, kl = report(encoder, decoder, x_test)
    print(f"test -elbo {rec + kl:.2f} nats (mean image {blind:.2f}); linear probe on the codes {accuracy:.3f}")


if __name__ == "__main__":
    main()
