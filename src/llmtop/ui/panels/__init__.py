"""One file a panel; each is a pure `frame(scene, size) -> rows` and a table of what it reads.

`Panel` (base.py) is the widget that shows any of them: it asks for a frame only when something
the frame reads has changed, compares the new rows with the old, and refreshes the rows that
differ. To add a panel: write `frame`, give it a key, name it in a screen.
"""
