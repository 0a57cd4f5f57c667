"""End-to-end scenarios for a Temporal-compatible server, written with the official Python SDK."""
