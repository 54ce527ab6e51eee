"""Other people's frameworks, each in a file of its own that is imported by whoever uses it.

The contract: a thin class in the host's own terms, that measures and passes on. It imports its
host when it is imported itself, and nothing of llmtop but the publisher. It logs on every rank,
under that rank, keeps NaN, and never fails the host's loop.
"""
