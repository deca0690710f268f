"""The local stack: real handlers in Lambda runtime clients, AWS calls against moto, the routes of template.yaml."""
