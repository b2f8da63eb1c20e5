"""Writes reptile.json: trajectories of Reptile in f64.

    python3 tests/golden/reptile.py > tests/golden/reptile.json

After Nichol, Achiam, Schulman (2018), algorithm 2 (the batched version): for each iteration, for each of n tasks, W_j = k
steps of the inner optimizer from phi; then phi <- phi + epsilon * (1/n) * sum over j of (W_j - phi). The inner optimizer's
state is kept from task to task (`maintain`), or begins anew with each (`reset`). With `nesterov` the outer step is
b <- mu b + d; phi <- phi - epsilon (d + mu b), d = (1/n) * sum over j of (phi - W_j).

`gradients[t]` is that of step t, whatever the weights; `runs[]`: the settings, and `x[t]`, the weights after step t: at the
end of a task those with which the next begins.
"""

import json
import sys

import numpy

SIZE = 5
STEPS = 27


def sgd(x, g, state, lr=0.1):
    return x - lr * g


def momentum(x, g, state, lr=0.1, mu=0.9):
    state["v"] = mu * state.get("v", numpy.zeros(SIZE)) + g
    return x - lr * state["v"]


def adam(x, g, state, lr=0.05, b1=0.9, b2=0.999, eps=1e-8):
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = b1 * state.get("m", numpy.zeros(SIZE)) + (1 - b1) * g
    v = state["v"] = b2 * state.get("v", numpy.zeros(SIZE)) + (1 - b2) * g * g
    return x - lr * (m / (1 - b1 ** t)) / (numpy.sqrt(v / (1 - b2 ** t)) + eps)


def reptile(x0, gradients, inner, n, k, epsilon, policy, mu):
    phi, state, b = x0, {}, numpy.zeros(SIZE)
    feed = iter(gradients)
    xs = []
    try:
        while True:
            came_to = []
            for _ in range(n):
                w = phi
                if policy == "reset":
                    state = {}
                for _ in range(k):
                    w = inner(w, next(feed), state)
                    xs.append(w)
                came_to.append(w)
                xs[-1] = phi
            d = sum(phi - w for w in came_to) / n
            if mu is None:
                phi = phi - epsilon * d
            else:
                b = mu * b + d
                phi = phi - epsilon * (d + mu * b)
            xs[-1] = phi
    except StopIteration:
        return xs


single = lambda values: numpy.asarray(values, dtype=numpy.float32).astype(float)
random = numpy.random.default_rng(3)
x0 = single(random.normal(size=SIZE))
gradients = [single(random.normal(size=SIZE)) for _ in range(STEPS)]
runs = []
for rule in [sgd, momentum, adam]:
    for n in [1, 2, 3]:
        for policy in ["maintain", "reset"]:
            for mu in [None, 0.7]:
                # The constants as f32 has them would differ from these by 6e-8 of an update.
                k, epsilon = (3, 0.5) if n == 2 else (2, 0.75)
                xs = reptile(x0, gradients, rule, n, k, epsilon, policy, mu)
                runs.append({"rule": rule.__name__, "tasks": n, "k": k, "alpha": epsilon, "policy": policy, "nesterov": mu,
                             "x": [[round(float(v), 10) for v in x] for x in xs]})
json.dump({"x0": x0.tolist(), "gradients": [g.tolist() for g in gradients], "runs": runs}, sys.stdout)
print()
