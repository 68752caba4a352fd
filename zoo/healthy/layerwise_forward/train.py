"""Forward-forward (Hinton 2022): each layer has its own goal and its own optimizer, nothing is sent back between layers."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

CLASSES = 10


def with_label(pixels, label):
    return torch.cat([2.0 * F.one_hot(label, CLASSES).float(), pixels], dim=1)


class Layer(nn.Module):
    def __init__(self, n_in, n_out, lr, threshold=1.5):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.threshold = threshold
        self.opt = torch.optim.Adam(self.linear.parameters(), lr=lr)

    def forward(self, x):
        x = x / (x.norm(dim=1, keepdim=True) + 1e-4) * x.shape[1] ** 0.5
        return F.relu(self.linear(x))

    def learn(self, right, wrong):
        h_right, h_wrong = self(right), self(wrong)
        g_right, g_wrong = h_right.pow(2).mean(1), h_wrong.pow(2).mean(1)
        loss = F.softplus(torch.cat([self.threshold - g_right, g_wrong - self.threshold])).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return h_right.detach(), h_wrong.detach(), loss.item()


class Stack(nn.ModuleList):
    def goodness(self, x):
        total = 0.0
        for layer in self:
            x = layer(x)
            total = total + x.pow(2).mean(1)
        return total

    @torch.no_grad()
    def classify(self, pixels):
        every = [torch.full((len(pixels),), k) for k in range(CLASSES)]
        return torch.stack([self.goodness(with_label(pixels, k)) for k in every], 1).argmax(1)

    def learn(self, pixels, label):
        with torch.no_grad():  # hard negatives: labels that the stack finds plausible, never the true one
            every = [torch.full_like(label, k) for k in range(CLASSES)]
            odds = torch.stack([self.goodness(with_label(pixels, k)) for k in every], 1)
            odds = (odds - odds.mean(1, keepdim=True)).scatter(1, label[:, None], float("-inf"))
            false = torch.multinomial(odds.softmax(1), 1)[:, 0]
        right, wrong = with_label(pixels, label), with_label(pixels, false)
        losses = []
        for layer in self:
            right, wrong, loss = layer.learn(right, wrong)
            losses.append(loss)
        return losses


def main():
    torch.manual_seed(70)
    digits = load_digits()
    x = torch.tensor(digits.data / 16.0, dtype=torch.float32)
    y = torch.tensor(digits.target)
    order = torch.randperm(len(x))
    tr, te = order[:1300], order[1300:]
    stack = Stack([Layer(64 + CLASSES, 200, 3e-3), Layer(200, 200, 3e-3)])
    for epoch in range(1, 26):
        for rows in tr[torch.randperm(len(tr))].split(65):
            losses = stack.learn(x[rows], y[rows])
        if epoch % 5 == 0:
            acc = (stack.classify(x[te]) == y[te]).float().mean().item()
            print(f"epoch {epoch} layers {' '.join(f'{v:.3f}' for v in losses)} test accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
