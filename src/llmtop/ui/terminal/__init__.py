"""The terminal itself: what is read from it, what is written to it, and how it is left.

Everything that reaches below Textual's public face lives in this folder, checks that the seam
is still the shape it was written for, and falls back to Textual's own behaviour when it is not:

- `celldiff.CellDiffMixin`: the App's side; put before `App` in its bases.
- `compositor`, `cells`, `pen`: what changed on the screen, and the fewest bytes that say it.
- `driver`, `files`, `keyboard`: the terminal drawn on; input that cannot crash.
- `greys`, `plain`: 256 colours, and terminals without Unicode.
- `crash.run_app`: the exit code, the reason on stderr, and a restored terminal.
"""
