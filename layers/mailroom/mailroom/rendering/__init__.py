"""Turns a Message into an Email: language, brand, texts, templates."""
