"""Networks: where they come from, how they are loaded, and the cache that holds them on the device."""
