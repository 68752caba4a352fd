import numpy as np
import torch
import torch.nn as nn

np.random.seed(28)
torch.manual_seed(28)

N_MOTIFS, SIDE = 8, 14

# eight motifs of a weaver, each a symmetric 6 x 6 pattern of two wools
motifs = []
while len(motifs) < N_MOTIFS:
    quarter = np.random.rand(6, 3) < 0.5
    motifs.append(np.concatenate([quarter, quarter[:, ::-1]], axis=1).astype(np.float32))


def photo(label):
    ground = np.random.uniform(0.25, 0.45)
    img = np.full((SIDE, SIDE), ground, dtype=np.float32)
    top, left = np.random.randint(1, SIDE - 6, 2)
    img[top:top + 6, left:left + 6] += np.random.uniform(0.3, 0.45) * motifs[label]
    img += np.random.normal(0, 0.06, img.shape)
    return img


labels = np.random.randint(0, N_MOTIFS, 3000)
photos = np.stack([photo(k) for k in labels]).astype(np.float32)
photos = (photos - photos[:2400].mean()) / photos[:2400].std()

X = torch.from_numpy(photos).unsqueeze(1)
Y = torch.from_numpy(labels)
X_train, Y_train, X_test, Y_test = X[:2400], Y[:2400], X[2400:], Y[2400:]

net = nn.Sequential(
    nn.Conv2d(1, 16, 3), nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(),
    nn.Flatten(),
    nn.Linear(32 * 5 * 5, 64), nn.ReLU(),
    nn.Linear(64, N_MOTIFS),
)

optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
criterion = nn.CrossEntropyLoss()

BATCH = 40
STEPS = 900
order, cursor = np.random.permutation(len(X_train)), 0
running = []
for step in range(1, STEPS + 1):
    if cursor + BATCH > len(order):
        order, cursor = np.random.permutation(len(X_train)), 0
    rows = torch.from_numpy(order[cursor:cursor + BATCH])
    cursor += BATCH

    net.train()
    scores = net(X_train[rows])
    loss = criterion(scores, Y_train[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    running.append(loss.item())

    if step % 150 == 0:
        net.eval()
        with torch.no_grad():
            part = (net(X_train[:500]).argmax(1) == Y_train[:500]).float().mean().item()
        print("step", step, "loss %.3f" % np.mean(running[-150:]), "train part %.3f" % part)

net.eval()
hits = 0
with torch.no_grad():
    for i in range(0, len(X_test), BATCH):
        hits += (net(X_test[i:i + BATCH]).argmax(1) == Y_test[i:i + BATCH]).sum().item()
print("motifs recognised: %.4f" % (hits / len(X_test)))
