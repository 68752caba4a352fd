"""True or false? A recursive network reads logical expressions, one tree at a time."""
import random

import torch
import torch.nn as nn
import torch.optim as optim

LEAVES = ["true", "false"]
RULES = ["not", "and", "or", "xor"]


def grow(depth):
    """A tree (rule, children...) or a leaf, and its value."""
    if depth == 0 or random.random() < 0.2:
        leaf = random.choice(LEAVES)
        return leaf, leaf == "true"
    rule = random.choice(RULES)
    left, a = grow(depth - 1)
    if rule == "not":
        return (rule, left), not a
    right, b = grow(depth - 1)
    value = {"and": a and b, "or": a or b, "xor": a != b}[rule]
    return (rule, left, right), value


class TreeNet(nn.Module):
    def __init__(self, size):
        super(TreeNet, self).__init__()
        self.leaf = nn.Embedding(len(LEAVES), size)
        self.unary = nn.Sequential(nn.Linear(size, size), nn.Tanh())
        self.binary = nn.ModuleDict({
            rule: nn.Sequential(nn.Linear(2 * size, 2 * size), nn.ReLU(), nn.Linear(2 * size, size), nn.Tanh())
            for rule in RULES[1:]
        })
        self.answer = nn.Linear(size, 2)

    def encode(self, tree):
        if isinstance(tree, str):
            return self.leaf(torch.tensor(LEAVES.index(tree)))
        children = [self.encode(child) for child in tree[1:]]
        if tree[0] == "not":
            return self.unary(children[0])
        return self.binary[tree[0]](torch.cat(children))

    def forward(self, tree):
        return self.answer(self.encode(tree)).unsqueeze(0)


def accuracy(net, n, depth):
    net.eval()
    right = 0
    with torch.no_grad():
        for _ in range(n):
            tree, value = grow(depth)
            right += net(tree).argmax(1).item() == int(value)
    net.train()
    return right / n


random.seed(17)
torch.manual_seed(17)
net = TreeNet(24)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(net.parameters(), lr=0.005)
accumulate = 16

running_loss = 0.0
for i in range(1, 2401):
    depth = 1 + min(i // 300, 2)
    tree, value = grow(depth)
    output = net(tree)
    loss = criterion(output, torch.tensor([int(value)]))
    (loss / accumulate).backward()
    running_loss += loss.item()
    if i % accumulate == 0:
        optimizer.step()
        optimizer.zero_grad()
    if i % 400 == 0:
        print("%d trees, loss %.4f" % (i, running_loss / 400))
        running_loss = 0.0

print("accuracy on trees of depth 3: %.3f, of depth 5: %.3f" % (accuracy(net, 200, 3), accuracy(net, 100, 5)))
