"""The TLS context of a process."""

import os
import ssl
from functools import cache

__all__ = ["tls_context"]

# Each authority in a file of its own, by the hash of its name: layers/dependencies/certificates.py.
CERTIFICATES = "/opt/certificates"


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context that verifies servers, by the authorities of the layer; elsewhere by those of the machine.

    OpenSSL reads from the folder when a server names an authority. Reading all of them into a context takes 20 ms.
    `SSL_CERT_FILE` and `SSL_CERT_DIR` name others, as they do for OpenSSL.
    """
    folder = os.environ.get("SSL_CERT_DIR", CERTIFICATES)
    if "SSL_CERT_FILE" in os.environ or not os.path.isdir(folder):
        return ssl.create_default_context()
    return ssl.create_default_context(capath=folder)
