"""Voice conversion on parallel frames: turn a baritone's spectra into the tenor's."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(29)

BINS = 40


def sing(content, singer):
    """Log spectrum of a vowel position and pitch, as sung by one of the two voices."""
    f = torch.linspace(0, 1, BINS)
    shift = 0.12 if singer == "tenor" else 0.0
    stretch = 1.15 if singer == "tenor" else 1.0
    out = torch.zeros(len(content), BINS)
    for i, base in enumerate((0.15, 0.35, 0.6)):
        centre = stretch * (base + 0.08 * content[:, i:i + 1]) + shift * 0.3
        out += torch.exp(-((f - centre) / (0.05 + 0.02 * i)) ** 2) * (1.2 - 0.25 * i)
    pitch = 14 + 4 * content[:, 3:4] + (6 if singer == "tenor" else 0)
    ripple = 0.25 * torch.cos(2 * torch.pi * f * pitch)
    return out + ripple - (0.8 if singer == "tenor" else 0.5) * f


def parallel_frames(n, noise=0.03):
    content = torch.rand(n, 4) * 2 - 1
    a, b = sing(content, "baritone"), sing(content, "tenor")
    return a + noise * torch.randn_like(a), b + noise * torch.randn_like(b)


class VoiceModule(nn.Module):
    def __init__(self, lr=4e-3, gamma=0.85, adv_weight=0.01):
        super().__init__()
        self.net_g = nn.Sequential(nn.Linear(BINS, 128), nn.LeakyReLU(0.1),
                                   nn.Linear(128, 128), nn.LeakyReLU(0.1),
                                   nn.Linear(128, BINS))
        self.net_d = nn.Sequential(nn.Linear(BINS, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
        self.lr, self.gamma, self.adv_weight = lr, gamma, adv_weight
        self.automatic_optimization = False

    def configure_optimizers(self):
        optim_g = torch.optim.AdamW(self.net_g.parameters(), lr=self.lr, betas=(0.8, 0.99))
        optim_d = torch.optim.AdamW(self.net_d.parameters(), lr=self.lr / 4, betas=(0.8, 0.99))
        sched_g = torch.optim.lr_scheduler.ExponentialLR(optim_g, gamma=self.gamma)
        sched_d = torch.optim.lr_scheduler.ExponentialLR(optim_d, gamma=self.gamma)
        return [optim_g, optim_d], [sched_g, sched_d]

    def training_step(self, batch, optimizers):
        source, target = batch
        optim_g, optim_d = optimizers

        fake = self.net_g(source)
        real_score, fake_score = self.net_d(target), self.net_d(fake.detach())
        loss_d = ((1 - real_score) ** 2).mean() + (fake_score ** 2).mean()
        optim_d.zero_grad()
        loss_d.backward()
        optim_d.step()

        loss_mel = F.l1_loss(fake, target)
        loss_g = loss_mel + self.adv_weight * ((1 - self.net_d(fake)) ** 2).mean()
        optim_g.zero_grad()
        loss_g.backward()
        optim_g.step()
        return loss_mel.item(), loss_d.item()


def fit(module, data, epochs, batch_size=32):
    optimizers, schedulers = module.configure_optimizers()
    source, target = data
    for epoch in range(epochs):
        module.train()
        mel = dis = steps = 0
        for idx in torch.randperm(len(source)).split(batch_size):
            m, d = module.training_step((source[idx], target[idx]), optimizers)
            mel, dis, steps = mel + m, dis + d, steps + 1
        if epoch % 4 == 3:
            print(f"epoch {epoch + 1:3d}  mel {mel / steps:.4f}  disc {dis / steps:.3f}")


def standardize(x, like):
    return (x - like.mean(0)) / like.std(0)


train_a, train_b = parallel_frames(2000)
test_a, test_b = parallel_frames(600, noise=0.0)
data = standardize(train_a, train_a), standardize(train_b, train_b)
module = VoiceModule()
fit(module, data, epochs=24)

module.eval()
with torch.no_grad():
    heard = module.net_g(standardize(test_a, train_a))
    wanted = standardize(test_b, train_b)
    print(f"distance of the mean tenor {wanted.abs().mean().item():.4f}")
    print(f"test mel distance {F.l1_loss(heard, wanted).item():.4f}")
