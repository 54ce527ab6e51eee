"""Measures what the README promises, side by side with what people use now, in one run.

    python -m tests.bench [log paced flow start store raster paint overview] [--markdown]

One file a subject, each a function that yields `Row`s. Ratios and minima count: the machine is
named, and what is not installed is said and left out.
"""
