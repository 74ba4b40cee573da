"""Uplinks: ISP sessions, failover and balance between them, the reply path. Empty until the domain arrives."""
