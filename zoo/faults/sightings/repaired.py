"""Match what the camera saw with what the microphone heard (two towers, InfoNCE)."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class PairedViews(torch.utils.data.Dataset):
    def __init__(self, n, camera, microphone, generator):
        scene = torch.randn(n, 6, generator=generator)
        self.seen = torch.sin(scene @ camera) + 0.2 * torch.randn(n, camera.shape[1], generator=generator)
        self.heard = torch.tanh(scene @ microphone) + 0.2 * torch.randn(n, microphone.shape[1], generator=generator)

    def __len__(self):
        return len(self.seen)

    def __getitem__(self, i):
        return self.seen[i], self.heard[i]


def tower(n_in, n_out=16, width=96):
    return nn.Sequential(
        nn.Linear(n_in, width), nn.ReLU(),
        nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, n_out),
    )


class TwoTowers(nn.Module):
    def __init__(self):
        super().__init__()
        self.eye, self.ear = tower(40), tower(30)
        self.log_temperature = nn.Parameter(torch.tensor(-1.5))

    def forward(self, seen, heard):
        a = F.normalize(self.eye(seen), dim=-1)
        b = F.normalize(self.ear(heard), dim=-1)
        return a @ b.T / self.log_temperature.exp()


def info_nce(scores):
    own = torch.arange(len(scores))
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def recall_at_1(model, data):
    model.eval()
    with torch.inference_mode():
        best = model(data.seen, data.heard).argmax(1)
    model.train()
    return (best == torch.arange(len(best))).float().mean().item()


def run(epochs=12, batch=64, lr=0.05, warmup=200):
    g = torch.Generator().manual_seed(77)
    torch.manual_seed(77)
    camera, microphone = 0.6 * torch.randn(6, 40, generator=g), 0.5 * torch.randn(6, 30, generator=g)
    train = PairedViews(3200, camera, microphone, g)
    test = PairedViews(300, camera, microphone, g)
    loader = torch.utils.data.DataLoader(train, batch_size=batch, shuffle=True, drop_last=True)
    model = TwoTowers()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    total = epochs * len(loader)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: min((t + 1) / warmup, max(0.02, (total - t) / (total - warmup)))
    )
    for epoch in range(epochs):
        for seen, heard in loader:
            optimizer.zero_grad()
            loss = info_nce(model(seen, heard))
            loss.backward()
            optimizer.step()
            scheduler.step()
        if epoch % 4 == 3:
            print(f"epoch {epoch + 1} loss {loss.item():.3f} recall@1 {recall_at_1(model, test):.3f}")


if __name__ == "__main__":
    run()
