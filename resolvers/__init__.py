"""Root fields as plain functions."""
