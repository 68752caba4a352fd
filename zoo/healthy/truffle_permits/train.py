"""Find wooded plots that hold truffles when only finds are ever reported (positive and unlabelled rows).

Non-negative PU risk of Kiryo et al. (2017); the share of truffle plots is known from a survey.
"""
import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler
from torch import nn

PRIOR, STEPS_PER_EPOCH, EPOCHS = 0.4, 24, 50


def load(seed):
    x, y = make_classification(16000, n_features=14, n_informative=8, n_redundant=2, n_clusters_per_class=2,
                               class_sep=1.3, flip_y=0.0, weights=[1 - PRIOR], random_state=seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    x, y = x[order], y[order]
    unlabelled, val_u = x[:6000], x[6000:7500]
    finds = x[7500:12000][y[7500:12000] == 1]
    test_x, test_y = x[12000:], y[12000:]
    scaler = StandardScaler().fit(unlabelled)

    def as_tensor(part):
        return torch.tensor(scaler.transform(part), dtype=torch.float32)

    return (as_tensor(finds[:600]), as_tensor(unlabelled), as_tensor(finds[600:900]), as_tensor(val_u),
            as_tensor(test_x), torch.tensor(test_y))


def make_weights(sizes):
    params = {}
    for i, (a, b) in enumerate(zip(sizes[:-1], sizes[1:])):
        params[f"w{i}"] = nn.init.kaiming_normal_(torch.empty(b, a), nonlinearity="relu").requires_grad_()
        params[f"b{i}"] = torch.zeros(b, requires_grad=True)
    return params


def score(params, x):
    depth = len(params) // 2
    for i in range(depth):
        x = nn.functional.linear(x, params[f"w{i}"], params[f"b{i}"])
        if i < depth - 1:
            x = torch.relu(x)
    return x.squeeze(1)


def risk_parts(out_p, out_u):
    """Positive part and (possibly negative) estimate of the negative part, with the sigmoid loss."""
    positive = PRIOR * torch.sigmoid(-out_p).mean()
    negative = torch.sigmoid(out_u).mean() - PRIOR * torch.sigmoid(out_p).mean()
    return positive, negative


def pu_objective(out_p, out_u):
    positive, negative = risk_parts(out_p, out_u)
    if negative < 0:
        return -negative
    return positive + negative


def pu_error(out_p, out_u):
    """Zero-one risk estimated without any negative label."""
    miss = (out_p <= 0).float().mean()
    alarms = (out_u > 0).float().mean() - PRIOR * (out_p > 0).float().mean()
    return (PRIOR * miss + alarms.clamp(min=0)).item()


def main():
    torch.manual_seed(3)
    pos, unl, val_p, val_u, test_x, test_y = load(3)
    params = make_weights([14, 64, 64, 1])
    matrices = [p for k, p in params.items() if k[0] == "w"]
    biases = [p for k, p in params.items() if k[0] == "b"]
    opt = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.01},
                             {"params": biases, "weight_decay": 0.0}], lr=1e-3)
    best, kept = 1.0, None
    for epoch in range(EPOCHS):
        flips, total = 0, 0.0
        unl_order = torch.randperm(len(unl)).tensor_split(STEPS_PER_EPOCH)
        pos_order = torch.randperm(len(pos)).repeat(4).tensor_split(STEPS_PER_EPOCH)
        for u_idx, p_idx in zip(unl_order, pos_order):
            out_p, out_u = score(params, pos[p_idx]), score(params, unl[u_idx])
            objective = pu_objective(out_p, out_u)
            opt.zero_grad()
            objective.backward()
            opt.step()
            with torch.no_grad():
                positive, negative = risk_parts(out_p, out_u)
                flips += int(negative < 0)
                total += (positive + negative.clamp(min=0)).item()
        with torch.no_grad():
            val = pu_error(score(params, val_p), score(params, val_u))
        if val < best:
            best, kept = val, {k: p.detach().clone() for k, p in params.items()}
        if epoch % 5 == 0 or epoch == EPOCHS - 1:
            print(f"epoch {epoch:2d}  risk {total / STEPS_PER_EPOCH:.3f}  climbed {flips:2d}/{STEPS_PER_EPOCH}  "
                  f"val PU error {val:.3f}")

    with torch.no_grad():
        guess = (score(kept, test_x) > 0).long()
    acc = (guess == test_y).float().mean().item()
    recall = (guess[test_y == 1]).float().mean().item()
    print(f"test accuracy {acc:.3f} (always 'no': {(test_y == 0).float().mean().item():.3f}), recall {recall:.3f}")


if __name__ == "__main__":
    main()
