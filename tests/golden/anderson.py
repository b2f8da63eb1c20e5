"""Writes anderson.json: coefficients and trajectories of Anderson acceleration, by numpy in f64.

    python3 tests/golden/anderson.py > tests/golden/anderson.json

The iterates of `coefficients` are whole numbers times a power of two, all of 24 bits at most, so that f32 holds them and
their differences exactly; `iterates` below says which, from a seed.
"""

import json
import numpy as np


def generator(seed):
    """Numerical Recipes' linear congruential generator; the upper bits."""
    state = seed
    while True:
        state = (1664525 * state + 1013904223) % 2**32
        yield state >> 8


def between(numbers, most):
    """A whole number in [-most, most]."""
    return next(numbers) % (2 * most + 1) - most


FACTORS = [16, 15, 13, 12, 10, 9, 8, 7]


def iterates(values, columns, spread, seed):
    """The first iterate, and one more for each column: residuals that are multiples of one vector, and a bit of noise."""
    numbers = generator(seed)
    start = [between(numbers, 2**19) for _ in range(values)]
    common = [between(numbers, 2000) for _ in range(values)]
    all = [np.array(start)]
    for factor in FACTORS[:columns]:
        residual = [factor * each + between(numbers, spread) for each in common]
        all.append(all[-1] + np.array(residual))
    return np.array(all)


def coefficients(points, regularisation):
    """c = argmin ||R c||^2 + lambda ||R||_F^2 ||c||^2 of those that sum to 1."""
    residuals = np.diff(points, axis=0)
    gram = residuals @ residuals.T
    z = np.linalg.solve(gram / np.trace(gram) + regularisation * np.eye(len(gram)), np.ones(len(gram)))
    return z / z.sum()


def combined(points, c, alpha):
    return c @ ((1 - alpha) * points[:-1] + alpha * points[1:])


def coefficient_cases():
    cases = []
    shapes = [(5, 1), (5, 2), (5, 4), (17, 3), (130, 5), (1000, 5), (5000, 5), (1000, 8), (8, 8), (5, 8)]
    for number, (values, columns) in enumerate(shapes):
        for spread in [1, 30, 1000]:
            seed = 7 * number + spread
            power = [-20, 0, -75, 60][(number + spread) % 4]
            points = iterates(values, columns, spread, seed).astype(float)
            assert np.abs(points).max() < 2**24
            residuals = np.diff(points, axis=0)
            gram = residuals @ residuals.T
            c = coefficients(points, 1e-8)
            cases.append({
                "values": values, "columns": columns, "spread": spread, "seed": seed, "power": power,
                "regularisation": 1e-8, "condition": float(f"{np.linalg.cond(gram):.3g}"), "c": c.tolist(),
            })
    return cases


class Sgd:
    def __init__(self, lr, momentum=0.0):
        self.lr, self.momentum, self.state = lr, momentum, None

    def step(self, x, g):
        b = g if self.state is None else self.momentum * self.state[0] + g
        self.state = [b]
        return x - self.lr * b

    def reset(self):
        self.state = None


class Adam:
    def __init__(self, lr):
        self.lr, self.count = lr, 0
        self.state = [0.0, 0.0]

    def step(self, x, g):
        self.count += 1
        m, v = self.state
        self.state = [0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g]
        m, v = self.state[0] / (1 - 0.9**self.count), self.state[1] / (1 - 0.999**self.count)
        return x - self.lr * m / (np.sqrt(v) + 1e-8)

    def reset(self):
        self.count, self.state = 0, [0.0, 0.0]


def trajectory(problem, rule, policy, k, alpha, columns, stride, regularisation):
    a, b, noise = (np.array(problem[name]) for name in ["A", "b", "noise"])
    x = np.array(problem["x0"])
    path, cycle = [], [x]
    for step in range(problem["steps"]):
        x = rule.step(x, a @ x - b + noise[step])
        cycle.append(x)
        if len(cycle) == k + 1:
            points = np.array(cycle)[[k - (columns - i) * stride for i in range(columns + 1)]]
            x = combined(points, coefficients(points, regularisation), alpha)
            cycle = [x]
            if policy == "reset":
                rule.reset()
        path.append(x.tolist())
    return path


def trajectories():
    random = np.random.default_rng(1)
    values = 9
    q = np.linalg.qr(random.normal(size=(values, values)))[0]
    steps = 18
    problem = {
        "shapes": [[2, 3], [3]],
        "A": (q @ np.diag(np.logspace(-1.5, 0, values)) @ q.T).tolist(),
        "b": random.normal(size=values).tolist(),
        "x0": random.normal(size=values).tolist(),
        "noise": (0.05 * random.normal(size=(steps, values))).tolist(),
        "steps": steps,
    }
    runs = []
    for name, make, hyper in [
        ("sgd", lambda: Sgd(0.3), {"lr": 0.3}),
        ("sgd", lambda: Sgd(0.1, 0.9), {"lr": 0.1, "momentum": 0.9}),
        ("adam", lambda: Adam(0.05), {"lr": 0.05}),
    ]:
        for policy, k, alpha, columns, stride in [
            ("maintain", 5, 1.0, 5, 1), ("maintain", 6, 0.5, 3, 2), ("reset", 7, 0.8, 4, 1), ("maintain", 4, 0.7, 1, 2),
        ]:
            x = trajectory(problem, make(), policy, k, alpha, columns, stride, 1e-4)
            runs.append({
                "rule": name, "hyper": hyper, "policy": policy, "k": k, "alpha": alpha, "columns": columns,
                "stride": stride, "regularisation": 1e-4, "x": x,
            })
    return {"problem": problem, "runs": runs}


print(json.dumps({"coefficients": coefficient_cases(), **trajectories()}))
