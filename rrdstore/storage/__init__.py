"""Where a store keeps what it must not forget: memory, or one file of constant size."""
