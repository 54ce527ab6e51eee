"""llmtop: `top` for LLM training and inference. This is what a training script imports.

    run = llmtop.init("gpt-small", total_steps=50_000)
    run.log({"loss": loss}, step=step)

Names are imported on first use, so that neither the monitor nor the publisher pays for the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmtop.publish.current import count, event, finish, init, log, observe, timer
    from llmtop.publish.run import Run

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "count", "event", "finish", "init", "log", "observe", "timer"]


class _Silence:
    """Stands in for the publisher where it cannot be imported, as with no descriptors left."""

    def __call__(self, *args: object, **named: object) -> _Silence:
        return self

    def __getattr__(self, name: str) -> _Silence:
        return self

    def __bool__(self) -> bool:
        # Nobody asked this run to stop.
        return False

    def __enter__(self) -> _Silence:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'llmtop' has no attribute {name!r}")
    try:
        if name not in __all__:
            # What runs under `import llmtop as wandb`; it may be another one with the next run.
            from llmtop.publish import compat

            return compat.attribute(name)
        if name == "Run":
            from llmtop.publish import run as module
        else:
            from llmtop.publish import current as module  # type: ignore[no-redef]  # one of two
    except (ImportError, OSError):
        # Logging must not end a run; the next use tries again.
        return _Silence()
    found = globals()[name] = getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
