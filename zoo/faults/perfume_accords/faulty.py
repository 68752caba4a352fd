import torch
import torch.nn as nn

# GC peaks of a perfume -> which accords does a nose find in it? (a perfume has one to four)
accords = ["citrus", "woody", "floral", "musk", "amber", "green", "spicy", "marine"]
n_peaks = 60


def make_perfumes(n, recipe):
    present = torch.zeros(n, len(accords))
    for row in present:
        k = torch.randint(1, 5, (1,)).item()
        row[torch.randperm(len(accords))[:k]] = 1
    strength = present * (0.6 + 0.8 * torch.rand(n, len(accords)))
    peaks = strength @ recipe + 0.15 * torch.randn(n, n_peaks).abs()
    return torch.log1p(peaks), present


class Nose(nn.Module):
    def __init__(self, n_hidden=64):
        super(Nose, self).__init__()
        self.hidden1 = nn.Linear(n_peaks, n_hidden)
        self.hidden2 = nn.Linear(n_hidden, n_hidden)
        self.output = nn.Linear(n_hidden, len(accords))
        self.relu = nn.ReLU()
        self.activation = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.relu(self.hidden1(x))
        x = self.relu(self.hidden2(x))
        x = self.activation(self.output(x))
        return x


def f1(pred, true):
    tp = (pred * true).sum()
    return (2 * tp / (pred.sum() + true.sum())).item()


def train(model, x, y, epochs, lr):
    loss_func = nn.BCELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    history = []
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(x.shape[0])
        epoch_loss = 0
        for k in range(0, x.shape[0], 40):
            rows = order[k:k + 40]
            prediction = model(x[rows])
            loss = loss_func(prediction, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item() * len(rows)
        history.append(epoch_loss / x.shape[0])
        if epoch % 5 == 4:
            print("Epoch: %d, loss: %.4f" % (epoch + 1, history[-1]))
    return history


torch.manual_seed(42)
recipe = (torch.rand(len(accords), n_peaks) < 0.25).float() * torch.rand(len(accords), n_peaks) * 2
x_train, y_train = make_perfumes(1200, recipe)
x_test, y_test = make_perfumes(400, recipe)
mean, std = x_train.mean(0), x_train.std(0)
x_train = (x_train - mean) / std
x_test = (x_test - mean) / std

nose = Nose()
train(nose, x_train, y_train, epochs=20, lr=0.002)

nose.eval()
with torch.no_grad():
    found = (nose(x_test) > 0.5).float()
print("exact match: %.3f" % (found == y_test).all(1).float().mean().item())
print("F1 on test perfumes: %.3f" % f1(found, y_test))
