#!/usr/bin/env python3
"""Makes the references of `tests/all/oracle`: small models of the same structure, trained by PyTorch in double
precision.

    python3 oracle/make.py [FOLDER]        (Debian: python3-torch; made with PyTorch 1.13.1)

Each file has the initial weights, fixed batches, the loss of every step and the weights after the last one.
Lookahead is written here from Algorithm 1 of the paper. Weights have the names and layouts of the Burn models: a
linear layer's matrix is `[from, to]`.
"""

import json
import math
import pathlib
import struct
import sys

import torch
import torch.nn.functional as F

STEPS, K, ALPHA = 200, 5, 0.5
BATCHES = 4
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}


def save(path, tensors):
    """The safetensors format: the header's length, the header, the tensors one after the other."""
    header, data = {}, b""
    for name, tensor in sorted(tensors.items()):
        tensor = tensor.detach().contiguous()
        raw = tensor.numpy().tobytes()
        header[name] = {
            "dtype": TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Lookahead:
    """phi <- phi + alpha (theta - phi); theta <- phi, after every k steps of the inner optimizer."""

    def __init__(self, inner, parameters):
        self.inner, self.fast, self.steps = inner, parameters, 0
        self.slow = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def step(self):
        self.inner.step()
        self.steps += 1
        if self.steps % K == 0:
            for slow, fast in zip(self.slow, self.fast):
                slow += ALPHA * (fast - slow)
                fast.copy_(slow)


def train(path, weights, batches, inner, loss):
    """Weights start as 32-bit numbers, so that any precision starts from the same."""
    initial = {name: weight.float() for name, weight in weights.items()}
    weights = {name: weight.double().requires_grad_() for name, weight in initial.items()}
    parameters = list(weights.values())
    inner = inner(parameters)
    optimizer = Lookahead(inner, parameters)
    losses = []
    for step in range(STEPS):
        inner.zero_grad()
        value = loss(weights, {name: batch[step % BATCHES] for name, batch in batches.items()}, step)
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    tensors = {"losses": torch.stack(losses)}
    tensors.update({f"batch/{name}": batch for name, batch in batches.items()})
    tensors.update({f"initial/{name}": weight for name, weight in initial.items()})
    tensors.update({f"final/{name}": weight for name, weight in weights.items()})
    save(path, tensors)
    print(f"{path.name}: loss {losses[0]:.4f} to {losses[-1]:.4f}, {sum(w.numel() for w in parameters)} weights")


# Where an argument of a rectifier comes nearer to zero than single precision is exact, trajectories part ways. Of so many
# seeds that one is taken whose arguments stay away from zero most.
SEEDS = 80
margin = [math.inf]


def relu(x):
    """And how near to its kink an argument has come."""
    margin[0] = min(margin[0], x.detach().abs().min().item())
    return F.relu(x)


def away_from_kinks(make, path):
    def made(seed):
        torch.manual_seed(seed)
        margin[0] = math.inf
        make(path)
        return margin[0]

    best = max(range(SEEDS), key=made)
    print(f"seed {best}: no argument of a rectifier within {made(best):.1e} of zero")


def linear(weights, name, x):
    return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def new_linear(weights, name, inputs, outputs):
    bound = inputs**-0.5
    weights[f"{name}.weight"] = (torch.rand(inputs, outputs) * 2 - 1) * bound
    weights[f"{name}.bias"] = (torch.rand(outputs) * 2 - 1) * bound


def new_norm(weights, name, size):
    weights[f"{name}.gamma"] = 1 + 0.1 * torch.randn(size)
    weights[f"{name}.beta"] = 0.1 * torch.randn(size)


# A residual network of two stages of a block each, with padded shortcuts, on 6 x 6 images.


def new_conv_norm(weights, name, inputs, outputs):
    weights[f"{name}.convolution.weight"] = torch.randn(outputs, inputs, 3, 3) * math.sqrt(2 / (9 * outputs))
    new_norm(weights, f"{name}.norm", outputs)


def conv_norm(weights, name, x, stride):
    x = F.conv2d(x, weights[f"{name}.convolution.weight"], stride=stride, padding=1)
    return F.batch_norm(x, None, None, weights[f"{name}.norm.gamma"], weights[f"{name}.norm.beta"], training=True)


def block(weights, name, x, stride):
    y = relu(conv_norm(weights, f"{name}.layers.0", x, stride))
    y = conv_norm(weights, f"{name}.layers.1", y, 1)
    x = x[:, :, ::stride, ::stride]
    return relu(y + F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1])))


def convolution_loss(weights, batch, _):
    x = relu(conv_norm(weights, "stem", batch["images"].double(), 1))
    x = block(weights, "blocks.1", block(weights, "blocks.0", x, 1), 2)
    return F.cross_entropy(linear(weights, "output", x.mean((2, 3))), batch["labels"])


def convolution(path):
    weights = {}
    new_conv_norm(weights, "stem", 3, 6)
    for index, (inputs, outputs) in enumerate([(6, 6), (6, 12)]):
        new_conv_norm(weights, f"blocks.{index}.layers.0", inputs, outputs)
        new_conv_norm(weights, f"blocks.{index}.layers.1", outputs, outputs)
    new_linear(weights, "output", 12, 5)
    batches = {"images": torch.randn(BATCHES, 4, 3, 6, 6), "labels": torch.randint(0, 5, (BATCHES, 4))}

    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=0.02, momentum=0.9)

    train(path, weights, batches, sgd, convolution_loss)


# A language model of two layers, with PyTorch's own LSTM. What it remembers goes from batch to batch, and is
# forgotten before the first.

LAYERS = [(10, 14), (14, 10)]


def new_language_model():
    weights = {"words.weight": (torch.rand(20, 10) * 2 - 1) * 0.5, "bias": 0.1 * torch.randn(20)}
    for index, (inputs, units) in enumerate(LAYERS):
        new_linear(weights, f"layers.{index}.input", inputs, 4 * units)
        new_linear(weights, f"layers.{index}.hidden", units, 4 * units)
    return weights


def language_model_loss(memory):
    def loss(weights, batch, step):
        time, columns = batch["inputs"].shape
        if step % BATCHES == 0:
            memory[:] = [(torch.zeros(1, columns, units).double(),) * 2 for _, units in LAYERS]
        x = weights["words.weight"][batch["inputs"]]
        for index, state in enumerate(memory):
            names = [f"layers.{index}.{part}" for part in ("input", "hidden")]
            flat = [weights[f"{name}.weight"].t() for name in names] + [weights[f"{name}.bias"] for name in names]
            x, hidden, cell = torch._VF.lstm(x, state, flat, True, 1, 0.0, True, False, False)
            memory[index] = (hidden.detach(), cell.detach())
        logits = (x @ weights["words.weight"].t() + weights["bias"]).reshape(time * columns, -1)
        regularisation = 2 * x.pow(2).mean() + (x[1:] - x[:-1]).pow(2).mean()
        return F.cross_entropy(logits, batch["targets"].reshape(-1)) + regularisation

    return loss


def adam(rate):
    return lambda parameters: torch.optim.Adam(parameters, lr=rate)


def language_model(folder):
    batches = {name: torch.randint(0, 20, (BATCHES, 6, 4)) for name in ("inputs", "targets")}
    loss = language_model_loss([])
    train(folder / "language_model.safetensors", new_language_model(), batches, adam(0.01), loss)


# A Transformer of two layers and two heads, that normalises after each part, with PyTorch's own attention.

FEATURES, INNER, HEADS, DEPTH, VOCABULARY, PAD = 8, 16, 2, 2, 15, 0
ENCODER = {"attention": ["mha"], "norms": 2}
DECODER = {"attention": ["self_attn", "cross_attn"], "norms": 3}


def new_transformer():
    weights = {"words.weight": torch.randn(VOCABULARY, FEATURES) * FEATURES**-0.5}
    for part, shape in (("encoder", ENCODER), ("decoder", DECODER)):
        for layer in range(DEPTH):
            name = f"{part}.layers.{layer}"
            for attention in shape["attention"]:
                for matrix in ("query", "key", "value", "output"):
                    new_linear(weights, f"{name}.{attention}.{matrix}", FEATURES, FEATURES)
            new_linear(weights, f"{name}.pwff.linear_inner", FEATURES, INNER)
            new_linear(weights, f"{name}.pwff.linear_outer", INNER, FEATURES)
            for norm in range(1, 1 + shape["norms"]):
                new_norm(weights, f"{name}.norm_{norm}", FEATURES)
    return weights


def attend(weights, name, query, memory, pad, mask=None):
    """PyTorch's attention has time first, and its matrices `[to, from]` above each other."""
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    matrix = torch.cat([weights[f"{part}.weight"].t() for part in parts])
    bias = torch.cat([weights[f"{part}.bias"] for part in parts])
    query, memory = query.transpose(0, 1), memory.transpose(0, 1)
    output, _ = F.multi_head_attention_forward(
        query, memory, memory, FEATURES, HEADS, matrix, bias, None, None, False, 0.0,
        weights[f"{name}.output.weight"].t(), weights[f"{name}.output.bias"],
        key_padding_mask=pad, need_weights=False, attn_mask=mask,
    )
    return output.transpose(0, 1)


def norm(weights, name, x):
    return F.layer_norm(x, (FEATURES,), weights[f"{name}.gamma"], weights[f"{name}.beta"])


def feed_forward(weights, name, x):
    return linear(weights, f"{name}.linear_outer", relu(linear(weights, f"{name}.linear_inner", x)))


def embed(weights, words):
    length = words.shape[1]
    angles = torch.arange(length).double()[:, None] / 10_000 ** (torch.arange(0, FEATURES, 2).double() / FEATURES)
    positions = torch.stack([angles.sin(), angles.cos()], 2).reshape(length, FEATURES)
    return weights["words.weight"][words] * math.sqrt(FEATURES) + positions


def transformer_loss(weights, batch, _):
    source, target = batch["source"], batch["target"]
    x, source_pad, target_pad = embed(weights, source), source == PAD, target == PAD
    for layer in range(DEPTH):
        name = f"encoder.layers.{layer}"
        x = norm(weights, f"{name}.norm_1", x + attend(weights, f"{name}.mha", x, x, source_pad))
        x = norm(weights, f"{name}.norm_2", x + feed_forward(weights, f"{name}.pwff", x))
    length = target.shape[1]
    future = torch.ones(length, length).triu(1).bool()
    y = embed(weights, target)
    for layer in range(DEPTH):
        name = f"decoder.layers.{layer}"
        y = norm(weights, f"{name}.norm_1", y + attend(weights, f"{name}.self_attn", y, y, target_pad, future))
        y = norm(weights, f"{name}.norm_2", y + attend(weights, f"{name}.cross_attn", y, x, source_pad))
        y = norm(weights, f"{name}.norm_3", y + feed_forward(weights, f"{name}.pwff", y))
    logits = (y @ weights["words.weight"].t()).reshape(-1, VOCABULARY)
    labels = batch["labels"].reshape(-1)
    return F.cross_entropy(logits, labels, ignore_index=PAD, label_smoothing=0.1)


def transformer(path):
    batches = {name: torch.randint(1, VOCABULARY, (BATCHES, 4, size)) for name, size in
               (("source", 6), ("target", 5), ("labels", 5))}
    # Sentences of unequal length.
    batches["source"][:, 0, 4:] = PAD
    batches["target"][:, 1, 3:] = PAD
    batches["labels"][:, 1, 2:] = PAD
    train(path, new_transformer(), batches, adam(0.003), transformer_loss)


if __name__ == "__main__":
    torch.set_num_threads(1)
    destination = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    torch.manual_seed(0)
    language_model(destination)
    away_from_kinks(convolution, destination / "convolution.safetensors")
    away_from_kinks(transformer, destination / "transformer.safetensors")
