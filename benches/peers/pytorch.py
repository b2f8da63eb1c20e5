#!/usr/bin/env python3
"""Times PyTorch's Adam, alone and with Lookahead, over the tensors of ResNet-50 and over one tensor.

Examples:
  python3 pytorch.py                        on a GPU where there is one, else on the CPU
  python3 pytorch.py --device cpu
  python3 pytorch.py --tensors one --parameters 67108864 --json pytorch.json

Variants: `loop` steps tensor by tensor, `foreach` lists of tensors (PyTorch's default on a GPU), `fused`
one kernel for a whole step (where this PyTorch has it). Lookahead is written as its users write it, with
foreach: every 5 steps slow <- slow + (fast - slow) / 2, and fast <- slow.
"""
import argparse
import json
import statistics
import time

import torch

K = 5


def resnet50():
    """The shapes of ResNet-50's 161 parameters: 25,557,032 values."""
    shapes = [(64, 3, 7, 7), (64,), (64,)]
    channels = 64
    for blocks, width in [(3, 64), (4, 128), (6, 256), (3, 512)]:
        for block in range(blocks):
            convolutions = [(width, channels, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
            if block == 0:
                convolutions.append((4 * width, channels, 1, 1))
            for shape in convolutions:
                shapes += [shape, (shape[0],), (shape[0],)]
            channels = 4 * width
    return shapes + [(1000, channels), (1000,)]


class Lookahead:
    """The optimizer, and every K steps the sync."""

    def __init__(self, optimizer, parameters):
        self.optimizer, self.fast = optimizer, [p.detach() for p in parameters]
        self.slow = [p.clone() for p in self.fast]
        self.steps = 0

    def step(self):
        self.optimizer.step()
        self.steps += 1
        if self.steps % K == 0:
            if hasattr(torch, "_foreach_lerp_"):
                torch._foreach_lerp_(self.slow, self.fast, 0.5)
            else:
                torch._foreach_add_(self.slow, torch._foreach_sub(self.fast, self.slow), alpha=0.5)
            if hasattr(torch, "_foreach_copy_"):
                torch._foreach_copy_(self.fast, self.slow)
            else:
                for fast, slow in zip(self.fast, self.slow):
                    fast.copy_(slow)


def variants():
    """By name: what Adam is told."""
    yield "loop", {"foreach": False}
    yield "foreach", {"foreach": True}
    yield "fused", {"fused": True}


def measure(step, device, seconds):
    """Milliseconds a step, over whole cycles: the median of samples, and the spread of their middle half."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def sample(cycles):
        wait()
        begin = time.perf_counter()
        for _ in range(cycles * K):
            step()
        wait()
        return (time.perf_counter() - begin) / (cycles * K)

    sample(2)
    cycles = max(1, min(200, round(0.05 / (K * sample(1)))))
    samples, begin = [], time.perf_counter()
    while len(samples) < 5 or time.perf_counter() - begin < seconds:
        samples.append(sample(cycles))
    low, middle, high = statistics.quantiles(samples, n=4)
    return {"ms": 1e3 * middle, "spread": (high - low) / middle, "samples": len(samples)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--parameters", type=int, default=1 << 24, help="of the one tensor (default: %(default)s)")
    parser.add_argument("--tensors", choices=["resnet50", "one", "all"], default="all", help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of samples for each row (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write every figure to FILE too")
    arguments = parser.parse_args()
    device = arguments.device
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"PyTorch {torch.__version__} on {name}\n\n{'optimizer':34} {'tensors':>7} {'ms/step':>9} {'GB/s':>7} spread")
    lists = {"resnet50": [resnet50()], "one": [[(arguments.parameters,)]]}
    rows = []
    for shapes in lists.get(arguments.tensors, lists["resnet50"] + lists["one"]):
        for variant, told in variants():
            for lookahead in [False, True]:
                parameters = [torch.nn.Parameter(torch.rand(shape, device=device) - 0.5) for shape in shapes]
                for parameter in parameters:
                    parameter.grad = torch.rand_like(parameter) - 0.5
                try:
                    optimizer = torch.optim.Adam(parameters, lr=1e-3, **told)
                    optimizer.step()
                except (TypeError, RuntimeError) as problem:
                    print(f"{variant}: not in this PyTorch ({str(problem).splitlines()[0]})")
                    break
                stepped = Lookahead(optimizer, parameters) if lookahead else optimizer
                row = measure(stepped.step, device, arguments.seconds)
                values = sum(parameter.numel() for parameter in parameters)
                # What a step must move, as the other tables count it.
                row["bytes"] = values * (28 + (8 / K if lookahead else 0))
                row["gb_per_s"] = row["bytes"] / row["ms"] / 1e6
                row["optimizer"] = f"{'Lookahead(Adam)' if lookahead else 'Adam'}, {variant}"
                row["tensors"], row["parameters"] = len(shapes), values
                rows.append(row)
                print(
                    f"{row['optimizer']:34} {row['tensors']:7} {row['ms']:9.4f} {row['gb_per_s']:7.1f} "
                    f"{100 * row['spread']:5.1f} %"
                )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"torch": torch.__version__, "device": name, "rows": rows}, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
