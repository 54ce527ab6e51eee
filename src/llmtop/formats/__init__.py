"""Somebody's log -> numbers: one module a family of tools, one line a format in `table.py`.

The contract is in `base.py`. To add a format: write a reader, make a `LineFormat` or a
`FileFormat` of it, name it in the table, and write down a line of the real tool as its example.
"""
