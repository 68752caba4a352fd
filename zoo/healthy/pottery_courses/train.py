"""Recommend evening courses: LightGCN with the Bayesian personalised ranking loss."""
import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(17)
rng = np.random.default_rng(17)
MEMBERS, COURSES, TOPICS, PER_MEMBER, DIM, LAYERS, TOP = 700, 300, 8, 22, 32, 2, 20

# ---- enrolments: members like a few topics, courses belong to a few, some courses are popular everywhere
taste = rng.dirichlet(np.full(TOPICS, 0.15), MEMBERS)
content = rng.dirichlet(np.full(TOPICS, 0.15), COURSES)
popularity = rng.lognormal(0.0, 0.4, COURSES)
affinity = (taste @ content.T + 0.005) * popularity
train_pairs, val_pairs, test_pairs = [], [], []
for m in range(MEMBERS):
    taken = rng.choice(COURSES, PER_MEMBER, replace=False, p=affinity[m] / affinity[m].sum())
    rng.shuffle(taken)
    test_pairs += [(m, c) for c in taken[:4]]
    val_pairs += [(m, c) for c in taken[4:6]]
    train_pairs += [(m, c) for c in taken[6:]]
train_pairs, val_pairs, test_pairs = (torch.tensor(np.array(p)) for p in (train_pairs, val_pairs, test_pairs))


def as_matrix(pairs):
    matrix = torch.zeros(MEMBERS, COURSES, dtype=torch.bool)
    matrix[pairs[:, 0], pairs[:, 1]] = True
    return matrix


in_train, in_val, in_test = as_matrix(train_pairs), as_matrix(val_pairs), as_matrix(test_pairs)

# ---- symmetrically normalised bipartite adjacency, training enrolments only
rows, cols = train_pairs[:, 0], train_pairs[:, 1] + MEMBERS
index = torch.stack([torch.cat([rows, cols]), torch.cat([cols, rows])])
degree = torch.bincount(index[0], minlength=MEMBERS + COURSES).clamp(min=1).float()
weight = (degree[index[0]] * degree[index[1]]).rsqrt()
adjacency = torch.sparse_coo_tensor(index, weight, (MEMBERS + COURSES,) * 2, check_invariants=True).coalesce()

table = torch.nn.Embedding(MEMBERS + COURSES, DIM)
torch.nn.init.normal_(table.weight, std=0.1)
optimizer = torch.optim.Adam(table.parameters(), lr=5e-3)


def propagate():
    layer, total = table.weight, table.weight
    for _ in range(LAYERS):
        layer = torch.sparse.mm(adjacency, layer)
        total = total + layer
    out = total / (LAYERS + 1)
    return out[:MEMBERS], out[MEMBERS:]


def recall(scores, wanted, hidden):
    top = scores.masked_fill(hidden, -float("inf")).topk(TOP, dim=1).indices
    return (wanted.gather(1, top).sum(1) / wanted.sum(1)).mean().item()


def draw_negatives(members):
    negatives = torch.randint(0, COURSES, members.shape)
    clash = in_train[members, negatives]
    while clash.any():
        negatives[clash] = torch.randint(0, COURSES, (int(clash.sum()),))
        clash = in_train[members, negatives]
    return negatives


best, best_weight, stale = 0.0, None, 0
for epoch in range(60):
    total = 0.0
    batches = torch.randperm(len(train_pairs)).split(1024)
    for batch in batches:
        members, liked = train_pairs[batch].T
        other = draw_negatives(members)
        member_out, course_out = propagate()
        u, p, n = member_out[members], course_out[liked], course_out[other]
        ranking = -F.logsigmoid((u * p).sum(1) - (u * n).sum(1)).mean()
        ego = table.weight[members], table.weight[liked + MEMBERS], table.weight[other + MEMBERS]
        loss = ranking + 1e-3 * sum(e.pow(2).sum(1).mean() for e in ego) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    with torch.no_grad():
        member_out, course_out = propagate()
        val = recall(member_out @ course_out.T, in_val, in_train)
    if epoch % 5 == 0:
        print(f"epoch {epoch:2d}  loss {total / len(batches):.4f}  val recall@{TOP} {val:.3f}")
    if val > best:
        best, best_weight, stale = val, table.weight.detach().clone(), 0
    else:
        stale += 1
        if stale == 12:
            print(f"stopped after epoch {epoch}")
            break

with torch.no_grad():
    table.weight.copy_(best_weight)
    member_out, course_out = propagate()
    ours = recall(member_out @ course_out.T, in_test, in_train | in_val)
    popular = recall(in_train.sum(0).float().expand(MEMBERS, -1), in_test, in_train | in_val)
print(f"test recall@{TOP} {ours:.3f}, most popular courses {popular:.3f}")
