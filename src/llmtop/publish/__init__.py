"""What runs inside somebody else's process: the standard library and pyzmq, nothing else.

The contract. A call queues and returns: it never blocks, never raises, and its memory is bounded.
What has to be dropped is counted in the series `llmtop/dropped`. One daemon thread a process does
all the rest; it starts with the first run and ends with the last.

    run, handles    what the user calls
    inbox           the queue between the caller and the thread
    values, tensors foreign values -> floats, at the call
    names, encode   queued calls -> DATA frames
    ring, fold      frames kept for replay; what leaves the ring, as buckets and histograms
    session, link   one run's stream; one monitor's place in it
    hubs, drain     which monitors there are; the thread
    process         fork, exit
"""
