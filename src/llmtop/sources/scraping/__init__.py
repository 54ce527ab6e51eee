"""Watching servers by their /metrics pages.

exposition  text of a page -> samples; knows the formats of Prometheus and OpenMetrics, no engine
fetch       an address -> text of a page, over HTTP, read-only, bounded in size and time
engines/    which names of which engine mean which metric: one table a module
plan        the samples of one page under an engine's table -> where each value goes
target      one server over time: increments between two looks, restarts, gaps -> batches
source      many servers, one thread pool
nearby      the servers that listen on this machine
"""
