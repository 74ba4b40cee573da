"""Diagnoses that a person may make from a node without being its master: a closed table of them, strictly read.

Invariants: nothing typed reaches a shell, and no word of it begins with a dash where a program could take it for an
option; what runs is bounded in time and in output, reads nothing from the person, and writes no file.
"""
