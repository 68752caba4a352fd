# Read the three figure number of luggage tags. One CNN, three outputs (one per position).
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(14)
np.random.seed(14)

N_POS = 3
digits = load_digits()
pool = np.random.permutation(len(digits.images))
train_pool, test_pool = pool[:1400], pool[1400:]


def make_tags(n, source):
    picks = np.random.choice(source, size=(n, N_POS))
    tags = digits.images[picks]                        # n, 3, 8, 8
    tags = np.concatenate([tags[:, k] for k in range(N_POS)], axis=2)
    tags = tags + np.random.normal(0, 1.0, tags.shape)
    return torch.tensor(tags, dtype=torch.float32).unsqueeze(1), torch.tensor(digits.target[picks])


x_train, y_train = make_tags(2400, train_pool)
x_test, y_test = make_tags(500, test_pool)
m, s = x_train.mean(), x_train.std()
x_train = (x_train - m) / s
x_test = (x_test - m) / s


class TagReader(nn.Module):
    def __init__(self):
        super(TagReader, self).__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 4 * 12, 96)
        self.heads = nn.ModuleList([nn.Linear(96, 10) for _ in range(N_POS)])

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc(x.flatten(1)))
        return [head(x) for head in self.heads]


def read_accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        guesses = torch.stack([o.argmax(1) for o in net(x)], dim=1)
    return (guesses == y).float().mean().item(), (guesses == y).all(dim=1).float().mean().item()


net = TagReader()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
batch_size = 50
n_batches = len(x_train) // batch_size

for epoch in range(10):
    net.train()
    order = torch.randperm(len(x_train))
    epoch_loss = 0.0
    for b in range(n_batches):
        rows = order[b * batch_size:(b + 1) * batch_size]
        inputs, targets = x_train[rows], y_train[rows]
        optimizer.zero_grad()
        outputs = net(inputs)

        position_losses = []
        for k in range(N_POS):
            loss_k = criterion(outputs[k], targets[:, k])
            position_losses.append(loss_k.item())
        loss = torch.tensor(position_losses, requires_grad=True).mean()

        loss.backward()
        optimizer.step()
        epoch_loss += loss.item()
    figure_acc, _ = read_accuracy(net, x_train[:500], y_train[:500])
    print(f'epoch {epoch + 1}: loss = {epoch_loss / n_batches:.4f}, figures right (train) = {figure_acc:.3f}')

figure_acc, tag_acc = read_accuracy(net, x_test, y_test)
print(f'whole tags right: {tag_acc:.3f}')
print(f'test figures right: {figure_acc:.3f}')
