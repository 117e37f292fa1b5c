"""Band-split RNN as published on Zenodo."""
