"""A stand-in for an address that takes rows in batches, and for one that does so the way HubSpot does."""
