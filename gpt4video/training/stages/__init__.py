"""The stages of the embedded model, each one file; the order is that of `configs/shapes.yaml`."""
