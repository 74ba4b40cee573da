"""The `yaoki` command."""
