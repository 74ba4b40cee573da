"""The lab: a site built in network namespaces, broken on purpose, and measured from its clients."""
