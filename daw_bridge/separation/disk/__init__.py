"""The mix on the disk, read in constant memory, and its stems written, resumable and atomic."""
