"""The site file: vocabulary, loading, lint rules, compilation to one NodePlan per node, and diff.

Those who want a site begin with examine.accept_site (what a node may run) or examine.examine (all that is wrong), then
compile.compile_site and diff.diff.

Invariants: no dict of the file travels past the loader; every position in the file stays known (source_map); engines
never see the site file; problems are collected, and only a file without errors becomes a plan.
"""
