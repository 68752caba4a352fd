# Deep ensemble of eight small nets in one vmapped call. Every juror has a bootstrap sample of its own.
import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

torch.manual_seed(88)
JURORS, BATCH, STEPS = 8, 64, 360

images, labels = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    images / 16.0 - 0.3, labels, test_size=0.3, stratify=labels, random_state=88
)
x_train, x_test = (torch.tensor(v, dtype=torch.float32) for v in (x_train, x_test))
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)


def juror():
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


params, buffers = stack_module_state([juror() for _ in range(JURORS)])
params = {k: p.detach().requires_grad_() for k, p in params.items()}
skeleton = copy.deepcopy(juror()).to("meta")


def one_verdict(p, b, x):
    return functional_call(skeleton, (p, b), (x,))


verdicts = vmap(one_verdict, in_dims=(0, 0, 0))
hearing = vmap(one_verdict, in_dims=(0, 0, None))
samples = torch.randint(0, len(x_train), (JURORS, len(x_train)))  # drawn once, with replacement

optimizer = torch.optim.Adam(params.values(), lr=3e-3)
for step in range(1, STEPS + 1):
    columns = torch.randint(0, len(x_train), (JURORS, BATCH))
    rows = samples.gather(1, columns)
    logits = verdicts(params, buffers, x_train[rows])  # jurors x batch x 10
    loss = F.cross_entropy(logits.flatten(0, 1), y_train[rows].flatten(), reduction="sum") / BATCH
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        with torch.no_grad():
            every = hearing(params, buffers, x_test).softmax(-1)
        alone = (every.argmax(-1) == y_test).float().mean().item()
        jury = (every.mean(0).argmax(-1) == y_test).float().mean().item()
        print(f"step {step} loss per juror {loss.item() / JURORS:.4f} one juror {alone:.3f} jury {jury:.3f}")
