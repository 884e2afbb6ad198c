"""Losses on the estimate x0: (B, C, H, W), nominally in [-1, 1], to one number per picture, (B,)."""
