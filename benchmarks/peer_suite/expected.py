"""What is wrong with the scripts that lie in ``shared/peer-suite`` beside the repository."""

from __future__ import annotations

from pathlib import Path

SUITE = Path(__file__).parents[3] / "shared" / "peer-suite"
EXPECTED = {
    "f01_double_softmax": ({"L03"}, "nn.Softmax(dim=1)"),
    "f02_no_zero_grad": ({"P12"}, "loss.backward()"),
    "f03_wrong_params": ({"P10", "P08"}, "model = Net()  # start"),
    "f04_lr_dead_relu": ({"P01"}, "LR = 15, 64, 1e-1"),
    "f05_vanishing": ({"C07", "C09"}, "nn.Sigmoid()]"),
    "f06_mse_broadcast": ({"L07"}, "loss = loss_fn(out, y)"),
    "f07_unnormalised": ({"D03"}, "/ 16.0 * 255"),
    "f08_shuffled_labels": ({"D07"}, "X = X[perm]"),
    "f09_eval_in_train_mode": ({"C30"}, "out = model(x)"),
    "f09b_train_in_eval_mode": ({"C30"}, "out = model(x)"),
    "f10_log0_nan": ({"C14"}, "torch.log(p)"),
    "f11_zero_init": ({"C10"}, "nn.init.zeros_(p)"),
    "f12_detached_encoder": ({"C02", "L17"}, ".detach()"),
}
"""Script → codes that name its cause, and the text of the right line."""
HEALTHY = ["h1_mlp", "h2_cnn", "h3_lm", "h4_regression"]
