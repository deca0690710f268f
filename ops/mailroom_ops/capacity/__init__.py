"""Estimates of what a stack costs and of what it carries, from counted calls and measured times."""
