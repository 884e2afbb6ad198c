"""Pure tensor maths: the noise schedule, the one sampling loop, and the guides that steer it."""
