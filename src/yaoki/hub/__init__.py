"""Virtual hubs of a VPN cluster and the cluster controller. Empty until the domain arrives."""
