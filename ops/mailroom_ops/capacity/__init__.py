"""Estimates of what a stack costs, what it carries, and what stays after its deletion."""
