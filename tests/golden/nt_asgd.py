"""Writes nt_asgd.json: the steps at which NT-ASGD's trigger fires, and averages of torch.optim.ASGD.

    python3 tests/golden/nt_asgd.py > tests/golden/nt_asgd.json

`sequences`: losses, the non-monotone interval n, and the evaluation at which Merity, Keskar, Socher (2017), algorithm 1,
begins to average; null where it does not. `run`: SGD whose losses fire the trigger, and beside it the average `ax` of
torch.optim.ASGD (f64, lambd = 0, alpha = 0, so that its steps are SGD's).
"""

import json
import sys

import numpy
import torch


def trigger(losses, n):
    """Algorithm 1: logs <- []; at evaluation t: if t > n and v > min over l < t - n of logs[l], then T <- t; append v."""
    logs = []
    for t, v in enumerate(losses):
        if t > n and v > min(logs[:t - n]):
            return t
        logs.append(v)
    return None


def sequences(random):
    for number in range(160):
        n = number % 7
        count = int(random.integers(0, 30))
        kind = number % 4
        if kind == 0:
            losses = random.normal(size=count)
        elif kind == 1:
            # Down, slower and slower, with noise.
            losses = 3 / (1 + numpy.arange(count)) + 0.1 * random.normal(size=count)
        elif kind == 2:
            # Down only.
            losses = numpy.sort(random.normal(size=count))[::-1]
        else:
            # With many that are equal.
            losses = random.integers(0, 4, size=count).astype(float)
        losses = [round(float(loss), 3) for loss in losses]
        yield {"interval": n, "losses": losses, "triggers": trigger(losses, n)}


def run(random, size=7, steps=60, every=4, n=2, lr=0.25):
    """Steps on a quadratic with noise in its gradient; every fourth step its loss is looked at."""
    matrix = random.normal(size=(size, size))
    a = matrix @ matrix.T / size + 0.2 * numpy.eye(size)
    b = random.normal(size=size)
    single = lambda values: numpy.asarray(values, dtype=numpy.float32).astype(float)
    x0 = single(random.normal(size=size))
    weights, gradients, losses = [x0], [], []
    begins = None
    for step in range(steps):
        x = weights[-1]
        gradients.append(single(a @ x - b + 2 * random.normal(size=size)))
        weights.append(x - lr * gradients[-1])
        if (step + 1) % every == 0:
            losses.append(0.5 * weights[-1] @ a @ weights[-1] - b @ weights[-1])
            if begins is None and trigger(losses, n) is not None:
                begins = step + 1
    # torch's mean is over its steps from t0 + 1 on, counted from 0; algorithm 1's over those from T on.
    parameter = torch.tensor(x0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.ASGD([parameter], lr=lr, lambd=0.0, alpha=0.0, t0=begins - 1)
    xs, averages = [], []
    for step in range(steps):
        parameter.grad = torch.tensor(gradients[step], dtype=torch.float64)
        optimizer.step()
        xs.append(parameter.detach().numpy().tolist())
        averages.append(optimizer.state[parameter]["ax"].numpy().tolist())
        # What `ax` is, in so many words.
        mean = numpy.mean(weights[begins + 1:step + 2], axis=0) if step >= begins else weights[step + 1]
        assert numpy.allclose(averages[-1], mean, rtol=0, atol=1e-7), (step, averages[-1], mean)
    return {"interval": n, "every": every, "lr": lr, "x0": x0.tolist(), "gradients": [g.tolist() for g in gradients],
            "losses": losses, "begins": begins, "x": xs, "ax": averages}


random = numpy.random.default_rng(7)
json.dump({"sequences": list(sequences(random)), "run": run(random)}, sys.stdout)
print()
