"""How good the pictures are, judged by a network that did not guide."""
