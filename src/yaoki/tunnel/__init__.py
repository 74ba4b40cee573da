"""Tunnels between regions, and the routes that hide when their tunnel dies. Empty until the domain arrives."""
