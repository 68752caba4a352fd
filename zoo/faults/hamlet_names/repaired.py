import random
import torch
import torch.nn as nn

random.seed(2)
torch.manual_seed(2)

# invented place names of four valleys; every valley has its own endings and beginnings
BEGIN = {
    0: ["ober", "nieder", "stein", "wald", "kirch", "alt", "feld"],
    1: ["tre", "pen", "lan", "pol", "car", "ros", "bod"],
    2: ["kirk", "thor", "scun", "grim", "ask", "swain", "orm"],
    3: ["mont", "val", "font", "san", "bel", "cast", "rio"],
}
END = {
    0: ["bach", "hausen", "dorf", "au", "heim"],
    1: ["eth", "ick", "ow", "gan", "wen"],
    2: ["by", "thorpe", "wick", "ness", "toft"],
    3: ["ella", "osa", "ana", "ino", "ari"],
}
MIDDLE = ["", "", "", "a", "e", "en", "er", "il", "or", "ur"]
LENGTH = 16


def hamlet():
    valley = random.randrange(4)
    begin_from = valley if random.random() < 0.75 else random.randrange(4)
    name = random.choice(BEGIN[begin_from]) + random.choice(MIDDLE) + random.choice(END[valley])
    letters = list(name)
    if random.random() < 0.4:
        letters[random.randrange(len(letters))] = random.choice("abcdefghiklmnoprstuw")
    return "".join(letters)[:LENGTH], valley


def to_tensor(names):
    out = torch.zeros(len(names), LENGTH, dtype=torch.long)
    for i, name in enumerate(names):
        for j, ch in enumerate(name):
            out[i, j] = ord(ch) - 96
    return out


samples = list(dict.fromkeys(hamlet() for _ in range(6000)))
names = to_tensor([s[0] for s in samples])
valleys = torch.tensor([s[1] for s in samples])
x_train, y_train = names[:-800], valleys[:-800]
x_test, y_test = names[-800:], valleys[-800:]


class NameNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(27, 16, padding_idx=0)
        self.conv1 = nn.Conv1d(16, 32, 3, padding=1)
        self.conv2 = nn.Conv1d(32, 32, 3, padding=1)
        self.out = nn.Linear(32, 4)

    def forward(self, x):
        h = self.embed(x).transpose(1, 2)
        h = torch.relu(self.conv1(h))
        h = torch.relu(self.conv2(h))
        return self.out(h.amax(dim=2))


net = NameNet()
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(net.parameters())

EPOCHS = 12
BATCH = 32
for epoch in range(EPOCHS):
    net.train()
    order = torch.randperm(len(x_train))
    total = 0.0
    for start in range(0, len(order), BATCH):
        pick = order[start:start + BATCH]
        opt.zero_grad()
        loss = loss_fn(net(x_train[pick]), y_train[pick])
        loss.backward()
        opt.step()
        total += loss.item() * len(pick)

    net.eval()
    with torch.no_grad():
        train_acc = (net(x_train).argmax(1) == y_train).float().mean().item()
    print(f"epoch {epoch + 1:2d}  loss {total / len(order):.4f}  train acc {train_acc:.3f}")

net.eval()
with torch.no_grad():
    test_acc = (net(x_test).argmax(1) == y_test).float().mean().item()
print(f"test acc: {test_acc:.4f}")
