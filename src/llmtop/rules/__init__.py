"""What the numbers mean: derived series and progress; alert rules will find their room here.

The contract. A rule reads the store and adds what follows from it, marked as derived; it never
reads a source and draws nothing. What it keeps between calls is about where it left off.
"""
