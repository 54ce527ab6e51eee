"""Where alerts go besides the screen: one file a kind of sink, one line a kind in `sinks.SINKS`.

The contract. A sink delivers one alert a call, in the one thread of `Delivery`, within a bounded
time, or raises `NotDelivered`, which says why in a few words, without secrets, and whether it is
worth another try. What goes out through the terminal is only written down here, as text: whoever
owns the terminal sends it.
"""
