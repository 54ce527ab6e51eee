"""What the numbers mean: derived series, progress, and the rules that raise alerts.

The contract. A rule reads the store and adds what follows from it, marked as derived, or an alert;
it never reads a source and draws nothing. What it keeps between calls is about where it left off.
Its time is the data's: of a run that was seen alive, now; of any other, its last sign of life.
"""
