"""Parse template.yaml, and resolve its intrinsic functions."""
