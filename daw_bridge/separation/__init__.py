"""The separation core: catalog, weights, the overlap-add engine, the networks, the residual, the field's rules."""
