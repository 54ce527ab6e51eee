"""What `llmtop serve` knows as a page for Prometheus.

The contract. A page is made in the thread that owns the store, a bounded piece at each turn, and
only when it is asked for; it is written and sent in other threads. It holds a bounded number of
samples and says how many it leaves out. prometheus_client, pure Python without dependencies,
writes both formats; the server is the standard library's, with a deadline for every request and a
limit of connections.

    families    samples by family, under a limit
    runs        runs, ranks and their series
    machine     machines, their devices, and llmtop itself
    pages       asked for in one thread, made in another
    server      HTTP
"""
