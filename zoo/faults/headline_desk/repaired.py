# Sort headlines to the desk of the newspaper that they belong to
import random
import torch
import torch.nn as nn

SEED = 2
random.seed(SEED)
torch.manual_seed(SEED)

DESKS = {
    "sport": "match goal coach league striker cup referee season win final",
    "finance": "bank shares profit market rate bonds investor loss merger win",
    "weather": "storm rain frost sunshine wind snow heat warning coast season",
    "science": "study planet cell laser fossil telescope rate gene heat vaccine",
    "culture": "film actor novel festival singer museum premiere album cup award",
    "politics": "minister vote party law coalition budget election debate final bank",
    "travel": "island flight hotel beach train coast guide border snow museum",
    "food": "recipe chef wine bakery cheese harvest market guide festival soup",
}
COMMON = "the new of in after says for with over big why how year first city old".split()
names = list(DESKS)
words = {k: v.split() for k, v in DESKS.items()}
vocab = {w: i for i, w in enumerate(sorted(set(COMMON + sum(words.values(), []))))}


def headline(desk):
    toks = random.choices(words[desk], k=random.randint(1, 3)) + random.choices(COMMON, k=4)
    if random.random() < 0.3:
        toks.append(random.choice(words[random.choice(names)]))
    random.shuffle(toks)
    return toks


def make(n):
    xs, ys = [], []
    for _ in range(n):
        y = random.randrange(len(names))
        v = torch.zeros(len(vocab))
        for t in headline(names[y]):
            v[vocab[t]] += 1
        xs.append(v)
        ys.append(y)
    return torch.stack(xs), torch.tensor(ys)


class HeadlineModel(nn.Module):
    def __init__(self, n_in, n_out):
        super(HeadlineModel, self).__init__()
        self.dense1 = nn.Linear(n_in, 64)
        self.dense2 = nn.Linear(64, 32)
        self.dense3 = nn.Linear(32, n_out)
        self.relu = nn.ReLU()
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.relu(self.dense1(x))
        x = self.relu(self.dense2(x))
        x = self.dense3(x)
        return x


def categorical_accuracy(out, y):
    return (torch.argmax(out, dim=1) == y).sum().item() / len(y)


def train(model, x, y, x_val, y_val, epochs=10, batch_size=16):
    # model.compile(optimizer='sgd', loss='sparse_categorical_crossentropy')
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(epochs):
        model.train()
        perm = torch.randperm(len(x))
        epoch_loss, steps = 0.0, 0
        for start in range(0, len(x), batch_size):
            rows = perm[start:start + batch_size]
            optimizer.zero_grad()
            out = model(x[rows])
            loss = loss_function(out, y[rows])
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item()
            steps += 1
        model.eval()
        with torch.no_grad():
            val = model(x_val)
            print(f"Epoch {epoch + 1}/{epochs} - loss: {epoch_loss / steps:.4f}"
                  f" - val_loss: {loss_function(val, y_val).item():.4f}"
                  f" - val_accuracy: {categorical_accuracy(val, y_val):.4f}")
    return categorical_accuracy(val, y_val)


x_train, y_train = make(3000)
x_val, y_val = make(800)
model = HeadlineModel(len(vocab), len(names))
acc = train(model, x_train, y_train, x_val, y_val)
print("Final val accuracy:", acc)
