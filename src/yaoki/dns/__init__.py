"""Authoritative DNS whose rrsets follow the health of their targets. Empty until the domain arrives."""
