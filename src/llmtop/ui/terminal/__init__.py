"""The terminal itself: what is read from it, what is written to it, and how it is left.

Everything that reaches below Textual's public face lives in this folder, checks that the seam
is still the shape it was written for, and falls back to Textual's own behaviour when it is not:

- `app.TerminalApp`: the base of llmtop's App, with all of the below.
- `celldiff`: writes only the cells that changed.
- `driver`, `files`, `keyboard`: which terminal is drawn on, counting what is written; input that
  cannot crash.
- `crash.run_app`: the exit code, the reason on stderr, and a restored terminal.
"""
