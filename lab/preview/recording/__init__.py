"""Hours of the simulated cluster, as Prometheus would have recorded them, within seconds.

The cluster is a function of seed and time, so its exporters, the API and discovery are asked at moments of
the past, one after the other. Their answers go through the scrape configuration and the rules of the stack.
"""
