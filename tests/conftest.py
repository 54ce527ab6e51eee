"""Tests see neither the servers of this machine nor its user's files, and know no deadline."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# A loaded machine takes seconds for what takes milliseconds on another, and what one change breaks
# is not to be found while another is tried: --hypothesis-profile explore looks for what is new.
settings.register_profile("steady", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("steady")

os.environ["LLMTOP_NO_DISCOVER"] = "1"
# Read when numpy is loaded: threads of several processes that wait for each other hold all up.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
    os.environ[variable] = tempfile.mkdtemp(prefix="llmtop-tests-")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return two processes a core for folders, as tests mostly wait; none for a file or a test."""
    if all(Path(word).is_dir() for word in config.args):
        return min(8, 2 * (os.cpu_count() or 1))
    return 0
