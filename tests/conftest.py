"""What holds for every test."""

from hypothesis import settings

# How long one example takes says nothing on a machine that others use as well; whole tests have their own time limit.
settings.register_profile("yaoki", deadline=None)
settings.load_profile("yaoki")
