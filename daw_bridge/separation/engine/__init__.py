"""How segments of a mix become stems, whatever the network: overlap-add, workers, memory, devices."""
