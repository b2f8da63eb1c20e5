"""Trajectories of SVRG, of Lookahead over it, of Katyusha and of plain descent in f64, from the papers' formulas: reduced.json.

    python3 tests/golden/reduced/reduced.py

The problem is logistic regression with an L2 term on scikit-learn's breast-cancer data (examples/logistic/data), each
feature with mean 0 and variance 1, and a feature that is 1:

    f(w) = 1/n sum_i log(1 + exp(-y_i x_i w)) + lambda/2 |w|^2

SVRG is Johnson and Zhang's (2013), Option I, with mini-batches: g = g_i(w) - g_i(w~) + mu. Katyusha is Allen-Zhu's (2017),
Algorithm 1 with psi = 0 and Option II; what is kept of it is the next x, at which the caller takes gradients.
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
LAMBDA, RATE, K, BATCH, STEPS = 0.1, 0.05, 20, 8, 60


def read():
    rows = np.loadtxt(HERE / "../../../examples/logistic/data/breast_cancer.csv", delimiter=",", skiprows=1)
    x = (rows[:, :-1] - rows[:, :-1].mean(0)) / rows[:, :-1].std(0)
    return np.hstack([x, np.ones((len(x), 1))]), 2 * rows[:, -1] - 1


X, Y = read()


def gradient(w, batch):
    x, y = X[batch], Y[batch]
    return -(x * (y / (1 + np.exp(y * (x @ w))))[:, None]).mean(0) + LAMBDA * w


def full(w):
    return gradient(w, np.arange(len(X)))


def minimum():
    """By Newton's method."""
    w = np.zeros(X.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(X @ w)))
        hessian = (X * (p * (1 - p))[:, None]).T @ X / len(X) + LAMBDA * np.eye(len(w))
        w -= np.linalg.solve(hessian, full(w))
    assert np.abs(full(w)).max() < 1e-14
    return w


def descent(batches):
    w = np.zeros(X.shape[1])
    for batch in batches:
        w = w - RATE * gradient(w, batch)
        yield w


def svrg(batches, alpha):
    snapshot = w = np.zeros(X.shape[1])
    for t, batch in enumerate(batches):
        if t % K == 0:
            mu = full(snapshot)
        w = w - RATE * (gradient(w, batch) - gradient(snapshot, batch) + mu)
        if t % K == K - 1:
            snapshot = w = snapshot + alpha * (w - snapshot)
        yield w


def katyusha(batches, tau1, tau2, sigma):
    snapshot = y = z = np.zeros(X.shape[1])
    alpha = RATE / tau1
    for t, batch in enumerate(batches):
        if t % K == 0:
            mu, ys = full(snapshot), []
        x = tau1 * z + tau2 * snapshot + (1 - tau1 - tau2) * y
        g = mu + gradient(x, batch) - gradient(snapshot, batch)
        before, z = z, z - alpha * g
        y = x + tau1 * (z - before)
        ys.append(y)
        if t % K == K - 1:
            weights = (1 + alpha * sigma) ** np.arange(K)
            snapshot = weights @ np.array(ys) / weights.sum()
        yield tau1 * z + tau2 * snapshot + (1 - tau1 - tau2) * y


def kept(trajectory):
    """Every tenth step, and those around a sync."""
    rows = [[t, [float(f"{value:.12g}") for value in w]] for t, w in enumerate(trajectory, 1)]
    return [row for row in rows if row[0] % 10 in (0, 1) or row[0] % K == K - 1]


batches = np.random.default_rng(1).integers(len(X), size=(STEPS, BATCH)).tolist()
runs = [
    {"name": "descent", "alpha": None, "x": kept(descent(batches))},
    {"name": "svrg", "alpha": 1.0, "x": kept(svrg(batches, 1.0))},
    {"name": "lookahead over svrg", "alpha": 0.5, "x": kept(svrg(batches, 0.5))},
    {"name": "katyusha", "alpha": 1.0, "katyusha": [0.3, 0.4, 2.0], "x": kept(katyusha(batches, 0.3, 0.4, 2.0))},
    {"name": "katyusha of the paper", "alpha": 1.0, "katyusha": [0.5, 0.5, LAMBDA], "x": kept(katyusha(batches, 0.5, 0.5, LAMBDA))},
]
recorded = {
    "lambda": LAMBDA,
    "rate": RATE,
    "k": K,
    "minimum": minimum().tolist(),
    "batches": batches,
    "runs": runs,
}
(HERE / "reduced.json").write_text(json.dumps(recorded, separators=(",", ":")) + "\n")
