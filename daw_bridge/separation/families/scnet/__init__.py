"""SCNet: sparse compression of the spectrum's bands, and recurrences along time and frequency; plain and masked."""
