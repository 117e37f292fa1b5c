"""MDX23C: the TFC-TDF network, third version, of the 2023 Sound Demixing Challenge."""
