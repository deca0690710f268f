"""Previews and checks of mail templates."""
