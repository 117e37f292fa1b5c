"""Catalogs of songs on many machines: the scheduler is the user's, the truth is in storage.

A song is done when one small commit object exists, made last and put-if-absent. Whoever hands out the songs (this
machine, Ray, a SLURM array, a Kubernetes job) may die, run twice or be swapped: nothing is done twice, nothing is lost.
"""
