# PyTorch without torch.nn and torch.optim: a two-layer net whose weights I move myself.
# (The old "learning PyTorch with examples", but with real data.)
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch.autograd import Variable

torch.manual_seed(9)
dtype = torch.FloatTensor

data, target = load_diabetes(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(data, target, test_size=0.25, random_state=0)
mean_x, std_x = train_x.mean(0), train_x.std(0)
mean_y, std_y = train_y.mean(), train_y.std()


def prepare(a, mean, std):
    return Variable(torch.from_numpy((a - mean) / std).type(dtype))


x, y = prepare(train_x, mean_x, std_x), prepare(train_y[:, None], mean_y, std_y)
x_test, y_test = prepare(test_x, mean_x, std_x), prepare(test_y[:, None], mean_y, std_y)

N, D_in, H, D_out = x.size(0), x.size(1), 12, 1

w1 = Variable(torch.randn(D_in, H).type(dtype) / D_in**0.5, requires_grad=True)
b1 = Variable(torch.zeros(H).type(dtype), requires_grad=True)
w2 = Variable(torch.randn(H, D_out).type(dtype) / H**0.5, requires_grad=True)
b2 = Variable(torch.zeros(D_out).type(dtype), requires_grad=True)

learning_rate = 1e-4
decay = 2e-3
for t in range(200):
    # one step sees all 331 patients, the loss is their sum
    y_pred = (x.mm(w1) + b1).clamp(min=0).mm(w2) + b2
    loss = (y_pred - y).pow(2).sum()
    loss.backward()

    for w in (w1, b1, w2, b2):
        w.data -= learning_rate * w.grad.data
        if w.dim() == 2:
            w.data -= decay * w.data
        w.grad.data.zero_()

    if t % 25 == 24:
        guess = (x_test.mm(w1) + b1).clamp(min=0).mm(w2) + b2
        r2 = 1 - (guess - y_test).pow(2).mean() / (y_test - y_test.mean()).pow(2).mean()
        print(t + 1, "sum of squares %.1f" % loss.item(), "test r2 %.3f" % r2.item())
