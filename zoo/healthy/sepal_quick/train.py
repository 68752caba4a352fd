import torch
from sklearn import datasets, model_selection

SEED = 2024
torch.manual_seed(SEED)
x, y = datasets.load_iris(return_X_y=True)
x_tr, x_te, y_tr, y_te = model_selection.train_test_split(x, y, test_size=50, stratify=y, random_state=SEED)
center, spread = x_tr.mean(axis=0), x_tr.std(axis=0)
as_input = lambda a: torch.as_tensor((a - center) / spread, dtype=torch.float32)  # noqa: E731
x_tr, x_te, y_tr, y_te = as_input(x_tr), as_input(x_te), torch.as_tensor(y_tr), torch.as_tensor(y_te)

W = torch.nn.Parameter(torch.zeros(3, 4))
b = torch.nn.Parameter(torch.zeros(3))
sgd = torch.optim.SGD([W, b], lr=0.1, momentum=0.9)
decay = torch.optim.lr_scheduler.LinearLR(sgd, start_factor=1.0, end_factor=0.05, total_iters=120)

# softmax regression; 120 steps are plenty
for step in range(120):
    some = torch.randperm(len(x_tr))[:25]
    sgd.zero_grad()
    logits = torch.nn.functional.linear(x_tr[some], W, b)
    nll = -logits.log_softmax(1).gather(1, y_tr[some, None]).mean()
    nll.backward()
    sgd.step()
    decay.step()
    if step % 20 == 19:
        with torch.no_grad():
            test = torch.nn.functional.linear(x_te, W, b)
        acc = (test.argmax(1) == y_te).float().mean()
        print(f"step {step + 1:3d} nll {nll.item():.3f} test nll {torch.nn.functional.cross_entropy(test, y_te):.3f} test acc {acc:.2f}")
