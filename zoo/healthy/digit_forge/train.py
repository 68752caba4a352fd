import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def build_generator(z_dim, ch=20):
    return nn.Sequential(
        nn.Linear(z_dim, ch * 2 * 4, bias=False),
        nn.BatchNorm1d(ch * 2 * 4),
        nn.ReLU(),
        nn.Unflatten(1, (ch * 2, 2, 2)),
        nn.ConvTranspose2d(ch * 2, ch, 4, 2, 1, bias=False),
        nn.BatchNorm2d(ch),
        nn.ReLU(),
        nn.ConvTranspose2d(ch, 1, 4, 2, 1),
        nn.Tanh(),
    )


def build_discriminator(ch=16):
    return nn.Sequential(
        spectral_norm(nn.Conv2d(1, ch, 3, 1, 1)),
        nn.LeakyReLU(0.1),
        spectral_norm(nn.Conv2d(ch, ch * 2, 4, 2, 1)),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        spectral_norm(nn.Linear(ch * 2 * 16, 1)),
    )


def batches(images, size):
    while True:
        order = torch.randperm(len(images))
        for start in range(0, len(images) - size + 1, size):
            yield images[order[start : start + size]]


def judge(generator, z_dim, knn):
    generator.eval()
    with torch.no_grad():
        fakes = generator(torch.randn(1000, z_dim)).flatten(1).numpy()
    generator.train()
    dist, _ = knn.kneighbors(fakes, n_neighbors=1)
    counts = np.bincount(knn.predict(fakes), minlength=10)
    return float(dist.mean()), int((counts >= 20).sum())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--steps", type=int, default=800)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--z", type=int, default=16)
    p.add_argument("--seed", type=int, default=3)
    args = p.parse_args()
    torch.manual_seed(args.seed)

    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    knn = KNeighborsClassifier(3).fit(images.flatten(1).numpy(), digits.target)
    gen, disc = build_generator(args.z), build_discriminator()
    opt_g = torch.optim.Adam(gen.parameters(), 4e-4, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(disc.parameters(), 2e-3, betas=(0.5, 0.999))
    smooth = AveragedModel(gen, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    start = judge(smooth, args.z, knn)
    among, _ = knn.kneighbors(n_neighbors=1)
    print(f"distance to a real digit: untrained {start[0]:.3f}, between real ones {among.mean():.3f}")

    data = batches(images, args.batch_size)
    for step in range(1, args.steps + 1):
        real = next(data)
        fake = gen(torch.randn(args.batch_size, args.z))
        loss_d = F.relu(1 - disc(real)).mean() + F.relu(1 + disc(fake.detach())).mean()
        opt_d.zero_grad(set_to_none=True)
        loss_d.backward()
        opt_d.step()

        loss_g = -disc(fake).mean()
        opt_g.zero_grad(set_to_none=True)
        loss_g.backward()
        opt_g.step()
        smooth.update_parameters(gen)
        if step % 160 == 0:
            dist, classes = judge(smooth, args.z, knn)
            print(f"step {step}: D {loss_d:.3f} G {loss_g:.3f} distance to a real digit {dist:.3f} classes {classes}/10")


if __name__ == "__main__":
    main()
