"""The whole of Mailroom on a laptop: real handlers, real AWS calls against moto, the routes of template.yaml."""
