"""The nouns: frozen values that every other package passes around."""
