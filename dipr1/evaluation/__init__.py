"""Evaluation: every metric, how arms are compared, and the benchmarks' official protocols."""
