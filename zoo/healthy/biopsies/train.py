from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
import torch

torch.manual_seed(13)
raw, malignant = load_breast_cancer(return_X_y=True)
raw_train, raw_test, y_train, y_test = train_test_split(
    torch.tensor(raw, dtype=torch.float32),
    torch.tensor(malignant == 0, dtype=torch.float32),
    test_size=0.3,
    stratify=malignant,
    random_state=13,
)


def classifier(n_features, width=32, drop=0.2):
    """The first layer learns the scale of each measurement, areas of 2000 and fractions of 0.001 alike."""
    return torch.nn.Sequential(
        torch.nn.BatchNorm1d(n_features, affine=False),
        torch.nn.Linear(n_features, width),
        torch.nn.ReLU(),
        torch.nn.Dropout(drop),
        torch.nn.Linear(width, width),
        torch.nn.ReLU(),
        torch.nn.Dropout(drop),
        torch.nn.Linear(width, 1),
        torch.nn.Flatten(0),
    )


def make_training(model, lr, momentum, decay):
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum)
    criterion = torch.nn.BCEWithLogitsLoss()

    def one_pass(x, y, size):
        model.train()
        order = torch.randperm(len(x))
        mean = 0.0
        for k in range(0, len(x) - size + 1, size):
            pick = order[k : k + size]
            optimizer.zero_grad()
            loss = criterion(model(x[pick]), y[pick])
            loss.backward()
            optimizer.step()
            mean += loss.item() * size / len(x)
        return mean

    def probabilities(x):
        model.eval()
        with torch.inference_mode():
            return model(x).sigmoid().numpy()

    return one_pass, probabilities


one_pass, probabilities = make_training(classifier(raw_train.shape[1]), lr=0.03, momentum=0.9, decay=1e-3)
for epoch in range(40):
    loss = one_pass(raw_train, y_train, size=32)
    if epoch % 8 == 7:
        p = probabilities(raw_test)
        print(
            f"pass {epoch + 1}: train {loss:.4f}, test {log_loss(y_test.numpy(), p):.4f}, "
            f"auc {roc_auc_score(y_test.numpy(), p):.4f}, "
            f"accuracy {((p > 0.5) == y_test.numpy()).mean():.4f}"
        )
