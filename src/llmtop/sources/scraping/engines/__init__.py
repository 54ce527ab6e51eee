"""The engines that are known by their pages: one table a family, in the order they are tried."""

from llmtop.sources.scraping.engines.base import Engine, Pick, Rule
from llmtop.sources.scraping.engines.dcgm import DCGM
from llmtop.sources.scraping.engines.llmtop import LLMTOP, LLMTOP_HOST, LLMTOP_SERVE, LLMTOP_TRAIN
from llmtop.sources.scraping.engines.routers import (
    DYNAMO,
    DYNAMO_WORKER,
    LITELLM,
    LLM_D,
    RAY_SERVE,
)
from llmtop.sources.scraping.engines.sglang import SGLANG
from llmtop.sources.scraping.engines.tgi import LLAMACPP, TEI, TGI, TRITON
from llmtop.sources.scraping.engines.vllm import LMDEPLOY, TENSORRT_LLM, VLLM

ENGINES: tuple[Engine, ...] = (
    VLLM, SGLANG, TENSORRT_LLM, LMDEPLOY, TGI, TEI, LLAMACPP, TRITON, DYNAMO, DYNAMO_WORKER,
    LITELLM, LLM_D, RAY_SERVE, DCGM, LLMTOP_TRAIN, LLMTOP_SERVE, LLMTOP_HOST,
)  # fmt: skip

__all__ = ["ENGINES", "LLMTOP", "Engine", "Pick", "Rule"]
