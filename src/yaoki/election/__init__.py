"""Election by lease with an epoch (fencing token), and witnesses. Empty until VIPs with `election: lease` arrive."""
