"""Yaoki: high-availability networking for Linux, declared in one site file and rehearsed before it is needed."""

__version__ = "0.1.0"
