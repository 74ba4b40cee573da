"""What all redundancy shares: members, health, policies, hashing and the vocabulary of plans."""
