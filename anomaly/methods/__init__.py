"""Methods: one folder per system, each an `nn.Module` from image to score map."""
