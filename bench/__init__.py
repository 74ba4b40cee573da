"""Benchmarks: `make bench-NAME` runs bench/NAME.py, prints a table and writes bench/results/NAME.json.

A benchmark module has `rows(quick: bool) -> list[Row]`. Figures are medians of 5 or more runs (fewer when quick). The
peer runs in the same harness and run; machines are noisy, so the ratio is what counts.
"""
