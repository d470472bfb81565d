"""The building blocks that every model here is made of: attention, blocks, positions, and named randomness."""
