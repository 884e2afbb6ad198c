"""Past one process: many pictures in a batch, and the page over many machines."""
