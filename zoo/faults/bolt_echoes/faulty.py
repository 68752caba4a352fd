"""Self-supervised embedding of ultrasonic bolt echoes: two shots of the same bolt are a positive pair."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier

torch.manual_seed(6)
rng = np.random.default_rng(6)


def parse_args() -> argparse.Namespace:
    p = argparse.ArgumentParser()
    p.add_argument("--bolts", type=int, default=2400)
    p.add_argument("--samples", type=int, default=64)
    p.add_argument("--temperature", type=float, default=0.2)
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--epochs", type=int, default=25)
    p.add_argument("--lr", type=float, default=1e-3)
    return p.parse_args()


def shoot(states: np.ndarray, depth: np.ndarray, n_samples: int) -> np.ndarray:
    """One ultrasonic shot per bolt. Coupling gel and probe drift change from shot to shot."""
    t = np.linspace(0, 1, n_samples)
    n = len(states)
    crack_at = np.array([0.25, 0.4, 0.55, 0.7, 0.85])[states] + depth
    crack = np.exp(-((t - crack_at[:, None]) / 0.03) ** 2)
    drift = rng.normal(size=(n, 4)) @ np.stack([np.ones_like(t), t, np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)])
    return crack + 1.5 * drift + 0.15 * rng.normal(size=(n, n_samples))


def make_bolts(n: int, n_samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    states = rng.integers(5, size=n)
    depth = rng.uniform(-0.04, 0.04, size=n)
    return shoot(states, depth, n_samples), shoot(states, depth, n_samples), states


def to_tensor(shots: np.ndarray, mean: np.ndarray, std: np.ndarray) -> torch.Tensor:
    return torch.tensor((shots - mean) / std, dtype=torch.float32)


def build_backbone(n_samples: int, n_features: int = 32) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_samples, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, n_features),
    )


def build_projector(n_features: int = 32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_features, 64), nn.ReLU(), nn.Linear(64, 32))


@torch.no_grad()
def extract_features(backbone: nn.Module, shots: torch.Tensor) -> torch.Tensor:
    return backbone(shots)


def project(backbone: nn.Module, projector: nn.Module, shots: torch.Tensor) -> torch.Tensor:
    features = extract_features(backbone, shots)
    return F.normalize(projector(features), dim=1)


def info_nce(z1: torch.Tensor, z2: torch.Tensor, temperature: float) -> torch.Tensor:
    logits = z1 @ z2.T / temperature
    target = torch.arange(len(z1))
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def train_epoch(backbone, projector, optimizer, first, second, batch_size: int, temperature: float) -> float:
    backbone.train()
    projector.train()
    losses = []
    for idx in torch.randperm(len(first)).split(batch_size):
        if len(idx) < batch_size:
            continue
        z1 = project(backbone, projector, first[idx])
        z2 = project(backbone, projector, second[idx])
        loss = info_nce(z1, z2, temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def knn_accuracy(backbone, train_shots, train_states, test_shots, test_states) -> float:
    backbone.eval()
    train_features = F.normalize(extract_features(backbone, train_shots), dim=1).numpy()
    test_features = F.normalize(extract_features(backbone, test_shots), dim=1).numpy()
    return KNeighborsClassifier(10).fit(train_features, train_states).score(test_features, test_states)


def main() -> None:
    args = parse_args()
    first, second, states = make_bolts(args.bolts, args.samples)
    test_shots, _, test_states = make_bolts(600, args.samples)
    pooled = np.concatenate([first, second])
    mean, std = pooled.mean(0), pooled.std(0)
    first, second, test_shots = (to_tensor(s, mean, std) for s in (first, second, test_shots))

    backbone, projector = build_backbone(args.samples), build_projector()
    optimizer = torch.optim.Adam([*backbone.parameters(), *projector.parameters()], lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        loss = train_epoch(backbone, projector, optimizer, first, second, args.batch_size, args.temperature)
        if epoch % 5 == 0:
            print(f"epoch {epoch} info-nce {loss:.4f}")
    print(f"knn accuracy {knn_accuracy(backbone, first, states, test_shots, test_states):.4f}")


main()
