"""Foreign formats: each package reads one and makes a site file of it, with a report of every line."""
