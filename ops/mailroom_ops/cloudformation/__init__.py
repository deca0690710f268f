"""Reads template.yaml and resolves its intrinsic functions."""
