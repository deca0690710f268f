"""The parameter store from the operator's side: its catalog, tenants, changes and rotation."""
