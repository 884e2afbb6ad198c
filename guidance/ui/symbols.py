"""Symbols of the formulas, as HTML."""

EPS = "<var>&epsilon;</var>"  # the network's guess of the noise
X0 = "<var>x&#770;</var><sub>0</sub>"  # the estimate of the picture
