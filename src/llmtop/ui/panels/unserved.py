"""What the Serve screen shows while no server is known: how to watch one."""

from __future__ import annotations

from collections.abc import Hashable

from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed
from llmtop.ui.panels.welcome import trouble
from llmtop.ui.rows import Row


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    run = scene.run
    return scene.trouble, None if run is None else (run.id, run.phase)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the ways to get a server in."""
    run = scene.run
    why = "no inference server is known" if run is None else f"{run.name} is no inference server"
    body: list[Row] = [
        *trouble(scene, size),
        (),
        ((why, "text"),),
        (),
        (("llmtop http://HOST:PORT", "accent"),
         ("   watches vLLM, SGLang, TGI, TensorRT-LLM, Triton, llama.cpp and others", "dim")),
        (("                          by their /metrics pages; those of this machine are found",
          "dim"),),
        (('run = llmtop.init("my-server", phase="serve")', "accent"),),
        (("with run.request() as request: request.token()", "accent"),
         ("   measures one of your own", "dim")),
    ]
    return framed("serve", (), body, size)


CONTENT = Content("unserved", frame, signature, focusable=False)
