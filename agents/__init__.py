"""Networks and agents built on the core."""
