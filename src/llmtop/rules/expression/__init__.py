"""The language of rules: a condition over the series of a run, parsed once, never executed.

    p99(ttft_seconds, 5m) > 5s and count(ttft_seconds, 5m) >= 100

The syntax, loosest first:

- `a or b`, `a and b`, `not a` join conditions;
- `x < y`, `<=`, `>`, `>=`, `==`, `!=` compare numbers, once (write `1 < x and x < 5`);
- `+ - * /`, a leading `-` and parentheses compute with them;
- a number may have a unit: `ms s m h d` (m is a minute), `B kB MB GB KiB MiB GiB TiB`, `%`
  (5 % is 0.05), `k M` (thousand, million);
- a name is a metric of the vocabulary or one of its aliases and means its newest value; any other
  name as logged stands in quotes: `'layer.3/norm' > 2`;
- `silence`, `run_age`, `restarts` and `step` are facts of the run: seconds since it was heard,
  seconds since it began, attempts after the first, its newest step; `device_memory` is what the
  device of a rule per device has in all;
- `function(metric)`, `function(metric, window)`, `function(metric, window, skip)` ask a series; the
  table in `catalogue` has them all. A window is a time (`5m`) or a number of points (`128 points`),
  up to now or, with `skip`, up to so long or so many points before. Without one, everything counts.

The meaning. Values are read in the vocabulary's unit (seconds, bytes, a fraction of 1), whatever
unit they were logged in; to compare seconds with bytes is an error when the rule is read. What was
never logged, or is not in the window, is missing: a comparison with it is neither true nor false,
`and` is false if one side is, `or` true if one side is, and else they are unknown too. A comparison
with NaN is false. A division by zero is missing. Evaluating never raises.
"""

from llmtop.rules.expression.parse import Expression, parse
from llmtop.rules.expression.tokens import ExpressionError, seconds_of

__all__ = ["Expression", "ExpressionError", "parse", "seconds_of"]
