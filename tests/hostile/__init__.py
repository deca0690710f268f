"""Hostile requests at the public endpoints: real handlers, a generator with a seed, AWS and a provider in memory."""
