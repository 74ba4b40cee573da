"""What every engine is made of: time, the machine protocol, the agenda, events with their cause, the error tree.

Invariant: nothing here performs I/O, reads a clock or draws a random number.
"""
