import torch
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class GhostBatchNorm1d(nn.BatchNorm1d):
    """Each slice of a large batch is normalised by itself; the running statistics see one slice after the other."""

    def __init__(self, num_features, ghost=32, momentum=0.02):
        super().__init__(num_features, momentum=momentum)
        self.ghost = ghost

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        return torch.cat([super(GhostBatchNorm1d, self).forward(part) for part in x.split(self.ghost)])


class GLU(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.fc = nn.Linear(n_in, 2 * n_out, bias=False)
        self.norm = GhostBatchNorm1d(2 * n_out)

    def forward(self, x):
        return F.glu(self.norm(self.fc(x)), dim=1)


class Net(nn.Module):
    def __init__(self, n_in, width, n_out, depth=3):
        super().__init__()
        self.norm = GhostBatchNorm1d(n_in)
        self.first = GLU(n_in, width)
        self.rest = nn.ModuleList(GLU(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, n_out)

    def forward(self, x):
        h = self.first(self.norm(x))
        for glu in self.rest:
            h = (h + glu(h)) * 0.5**0.5
        return self.last(h)


class Experiment:
    def __init__(self, lr=0.02, batch_size=512, epochs=40):
        X, y = make_classification(
            n_samples=4000, n_features=20, n_informative=10, n_classes=4, class_sep=1.4, flip_y=0.02, random_state=7
        )
        X = X * 10.0 + 300.0
        parts = train_test_split(X, y, test_size=0.25, random_state=7, stratify=y)
        xa, xb, ya, yb = (torch.from_numpy(p) for p in parts)
        self.test = xb.float(), yb
        self.loader = DataLoader(TensorDataset(xa.float(), ya), batch_size, shuffle=True, drop_last=True)
        self.net = Net(20, 48, 4)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=lr)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.93)
        self.epochs = epochs

    def run(self):
        for epoch in range(1, self.epochs + 1):
            self.net.train()
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.net(x), y)
                loss.backward()
                self.optimizer.step()
            self.schedule.step()
            if epoch % 8 == 0:
                print(f"epoch {epoch:3d} | loss {loss.item():.3f} | test accuracy {self.accuracy():.3f}")

    @torch.no_grad()
    def accuracy(self):
        self.net.eval()
        x, y = self.test
        return (self.net(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(61)
    Experiment().run()
