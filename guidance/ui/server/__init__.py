"""What stands between the page and the network: limits, the API, agents, ZeroGPU, the start."""
