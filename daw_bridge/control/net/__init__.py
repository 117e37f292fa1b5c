"""Sockets, clients and who may speak."""
