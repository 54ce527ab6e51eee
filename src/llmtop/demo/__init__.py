"""A small language model, really trained and really sampled: what `llmtop demo` shows.

Two processes, started by `launch` and tied to its life: `train` fits the model of `model` to the
package's own source text and writes checkpoints; `serve` loads the newest one and samples it for
simulated clients. Both use llmtop as anybody's program would, and every number is measured.
"""
