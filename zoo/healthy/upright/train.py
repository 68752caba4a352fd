"""Learn to see without labels: which way up is the picture? Then a linear probe reads digits off the features."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

TURNS = 4


def all_turns(x):
    """Each picture four times, turned by 0, 90, 180 and 270 degrees; the turn is its label."""
    turned = torch.cat([torch.rot90(x, k, dims=(2, 3)) for k in range(TURNS)])
    return turned, torch.arange(TURNS).repeat_interleave(len(x))


def jitter(x):
    """Random contrast, brightness and specks."""
    n = len(x)
    contrast = torch.empty(n, 1, 1, 1).uniform_(0.6, 1.4)
    brightness = torch.empty(n, 1, 1, 1).uniform_(-0.2, 0.2)
    specks = (torch.rand_like(x) < 0.05) * torch.randn_like(x)
    return x * contrast + brightness + specks


class Eye(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, stride=2)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1, stride=2)
        self.norms = nn.ModuleList([nn.GroupNorm(4, c) for c in (16, 32, 48)])
        self.turn = nn.Linear(48 * 4, TURNS)

    def features(self, x):
        for conv, norm in zip((self.conv1, self.conv2, self.conv3), self.norms):
            x = F.gelu(norm(conv(x)))
        return x.flatten(1)

    def forward(self, x):
        return self.turn(self.features(x))


def digits():
    bunch = load_digits()
    x = torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 8 - 1
    order = torch.randperm(len(x))
    x, y = x[order], bunch.target[order.numpy()]
    return (x[:1200], y[:1200]), (x[1200:], y[1200:])


def probe(eye, train, test):
    eye.eval()
    with torch.no_grad():
        a, b = eye.features(train[0][:200]).numpy(), eye.features(test[0]).numpy()
    return LogisticRegression(C=0.1, max_iter=300).fit(a, train[1][:200]).score(b, test[1])


def main():
    torch.manual_seed(53)
    train, test = digits()
    eye = Eye()
    print(f"probe before: {probe(eye, train, test):.3f}")
    opt = torch.optim.AdamW(eye.parameters(), lr=2e-3, weight_decay=1e-2)
    for epoch in range(1, 13):
        eye.train()
        for rows in torch.randperm(len(train[0])).split(48):
            x, turn = all_turns(train[0][rows])
            loss = F.cross_entropy(eye(jitter(x)), turn)
            opt.zero_grad()
            loss.backward()
            opt.step()
        if epoch % 4 == 0:
            eye.eval()
            x, turn = all_turns(test[0])
            with torch.no_grad():
                right = (eye(x).argmax(1) == turn).float().mean()
            print(f"epoch {epoch} loss {loss:.3f} turns told {right:.3f} probe {probe(eye, train, test):.3f}")


if __name__ == "__main__":
    main()
