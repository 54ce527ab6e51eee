"""A decoder-only transformer in numpy, with its backward pass written out.

Shapes: B sequences, T tokens each, D numbers a token, H heads of K = D / H, V tokens known.
RMS norm before each block, no biases, learned positions: small enough to read in one go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Parameters = dict[str, Array]

EPSILON = 1e-6


class Shape(NamedTuple):
    """How large a model is."""

    vocabulary: int = 96
    context: int = 64
    width: int = 64
    heads: int = 4
    layers: int = 2


class Learned(NamedTuple):
    """What one look at a batch gives."""

    loss: float
    """Mean cross entropy in nats a token."""
    accuracy: float
    """Share of tokens whose successor was the likeliest one."""
    gradients: Parameters


def initial(shape: Shape, random: np.random.Generator, dtype: type = np.float32) -> Parameters:
    """Return fresh parameters: 0.02 as usual, less where a block writes to the residual stream."""
    width, quiet = shape.width, 0.02 / np.sqrt(2 * shape.layers)

    def normal(scale: float, *size: int) -> Array:
        return random.normal(0.0, scale, size).astype(dtype)

    parameters = {
        "token": normal(0.02, shape.vocabulary, width),
        "place": normal(0.02, shape.context, width),
        "head": normal(0.02, width, shape.vocabulary),
    }
    for layer in range(shape.layers):
        parameters[f"{layer}/qkv"] = normal(width**-0.5, width, 3 * width)
        parameters[f"{layer}/out"] = normal(quiet, width, width)
        parameters[f"{layer}/up"] = normal(width**-0.5, width, 4 * width)
        parameters[f"{layer}/down"] = normal(quiet, 4 * width, width)
    return parameters


class Model:
    """Parameters and what can be done with them."""

    def __init__(self, shape: Shape, parameters: Parameters) -> None:
        self.shape = shape
        self.parameters = parameters

    def next_logits(self, tokens: Array) -> Array:
        """Return the logits of what follows each sequence: (B, T) -> (B, V)."""
        stream, _ = self._forward(tokens)
        logits: Array = _norm(stream[:, -1])[0] @ self.parameters["head"]
        return logits

    def evaluate(self, tokens: Array, targets: Array) -> tuple[float, float]:
        """Return loss and accuracy on a batch, both arrays of shape (B, T)."""
        stream, _ = self._forward(tokens)
        loss, accuracy, _ = _judge(_norm(stream)[0] @ self.parameters["head"], targets)
        return loss, accuracy

    def learn(self, tokens: Array, targets: Array) -> Learned:
        """Return loss, accuracy and gradients on a batch, both arrays of shape (B, T)."""
        p, gradients = self.parameters, {}
        stream, tape = self._forward(tokens)
        normed, scale = _norm(stream)
        loss, accuracy, d_logits = _judge(normed @ p["head"], targets)
        gradients["head"] = _weight_gradient(normed, d_logits)
        d_stream = _norm_back(d_logits @ p["head"].T, normed, scale)
        for layer in reversed(range(self.shape.layers)):
            attended, thought = tape[layer]
            d_stream = d_stream + self._think_back(layer, d_stream, thought, gradients)
            d_stream = d_stream + self._attend_back(layer, d_stream, attended, gradients)
        gradients["place"] = np.zeros_like(p["place"])
        gradients["place"][: tokens.shape[1]] = d_stream.sum(0)
        gradients["token"] = np.zeros_like(p["token"])
        np.add.at(gradients["token"], tokens, d_stream)
        return Learned(loss, accuracy, gradients)

    def _forward(self, tokens: Array) -> tuple[Array, list[tuple[Any, Any]]]:
        """Return the residual stream (B, T, D) and what each layer must remember."""
        stream = self.parameters["token"][tokens] + self.parameters["place"][: tokens.shape[1]]
        tape = []
        for layer in range(self.shape.layers):
            added, attended = self._attend(layer, stream)
            stream = stream + added
            added, thought = self._think(layer, stream)
            stream = stream + added
            tape.append((attended, thought))
        return stream, tape

    def _attend(self, layer: int, stream: Array) -> tuple[Array, tuple[Array, ...]]:
        """Let each token look at those before it."""
        normed, scale = _norm(stream)
        q, k, v = self._heads(normed @ self.parameters[f"{layer}/qkv"])
        scores = (q @ k.swapaxes(-1, -2)) * np.float32(q.shape[-1] ** -0.5)
        scores[..., np.triu(np.ones(scores.shape[-2:], np.bool_), 1)] = -np.inf
        weights = _softmax(scores)
        mixed = _merged(weights @ v)
        return mixed @ self.parameters[f"{layer}/out"], (normed, scale, q, k, v, weights, mixed)

    def _attend_back(
        self, layer: int, d: Array, memory: tuple[Array, ...], gradients: Parameters
    ) -> Array:
        normed, scale, q, k, v, weights, mixed = memory
        gradients[f"{layer}/out"] = _weight_gradient(mixed, d)
        (d_mixed,) = self._heads(d @ self.parameters[f"{layer}/out"].T)
        d_weights = d_mixed @ v.swapaxes(-1, -2)
        d_scores = weights * (d_weights - (d_weights * weights).sum(-1, keepdims=True))
        d_scores = d_scores * np.float32(q.shape[-1] ** -0.5)
        d_v = weights.swapaxes(-1, -2) @ d_mixed
        d_q, d_k = d_scores @ k, d_scores.swapaxes(-1, -2) @ q
        d_qkv = np.concatenate([_merged(d_q), _merged(d_k), _merged(d_v)], axis=-1)
        gradients[f"{layer}/qkv"] = _weight_gradient(normed, d_qkv)
        return _norm_back(d_qkv @ self.parameters[f"{layer}/qkv"].T, normed, scale)

    def _think(self, layer: int, stream: Array) -> tuple[Array, tuple[Array, ...]]:
        """Let each token think for itself."""
        normed, scale = _norm(stream)
        hidden = np.maximum(normed @ self.parameters[f"{layer}/up"], 0)
        return hidden @ self.parameters[f"{layer}/down"], (normed, scale, hidden)

    def _think_back(
        self, layer: int, d: Array, memory: tuple[Array, ...], gradients: Parameters
    ) -> Array:
        normed, scale, hidden = memory
        gradients[f"{layer}/down"] = _weight_gradient(hidden, d)
        d_hidden = (d @ self.parameters[f"{layer}/down"].T) * (hidden > 0)
        gradients[f"{layer}/up"] = _weight_gradient(normed, d_hidden)
        return _norm_back(d_hidden @ self.parameters[f"{layer}/up"].T, normed, scale)

    def _heads(self, x: Array) -> list[Array]:
        """Split (B, T, n D) into n arrays (B, H, T, K)."""
        batch, length, _ = x.shape
        parts = np.split(x, x.shape[-1] // self.shape.width, axis=-1)
        return [
            part.reshape(batch, length, self.shape.heads, -1).swapaxes(1, 2) for part in parts
        ]


def _merged(x: Array) -> Array:
    """Join heads again: (B, H, T, K) -> (B, T, D)."""
    batch, heads, length, size = x.shape
    joined: Array = x.swapaxes(1, 2).reshape(batch, length, heads * size)
    return joined


def _norm(x: Array) -> tuple[Array, Array]:
    """Return x over its root mean square, and one over that."""
    scale = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + x.dtype.type(EPSILON))
    return x * scale, scale


def _norm_back(d: Array, normed: Array, scale: Array) -> Array:
    gradient: Array = scale * (d - normed * (d * normed).mean(-1, keepdims=True))
    return gradient


def _softmax(x: Array) -> Array:
    powers: Array = np.exp(x - x.max(-1, keepdims=True))
    powers /= powers.sum(-1, keepdims=True)
    return powers


def _judge(logits: Array, targets: Array) -> tuple[float, float, Array]:
    """Return loss, accuracy and the gradient of the loss by the logits (B, T, V)."""
    accuracy = float((logits.argmax(-1) == targets).mean())
    gradient = _softmax(logits)
    batch, place = np.indices(targets.shape)
    loss = float(-np.log(gradient[batch, place, targets] + np.finfo(logits.dtype).tiny).mean())
    gradient[batch, place, targets] -= 1
    gradient /= targets.size
    return loss, accuracy, gradient


def _weight_gradient(x: Array, d: Array) -> Array:
    """Return the gradient of W in x @ W, summed over all tokens."""
    gradient: Array = x.reshape(-1, x.shape[-1]).T @ d.reshape(-1, d.shape[-1])
    return gradient
