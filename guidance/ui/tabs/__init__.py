"""The tabs of the page: their controls, and what each brings of its own."""
