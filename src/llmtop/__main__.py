"""`python -m llmtop` is `llmtop`."""

import sys

from llmtop.cli.main import main

sys.exit(main())
