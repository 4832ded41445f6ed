"""Which proxy the environment names for a server. A server on this machine is never asked through one."""

import ipaddress
import re
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def is_loopback(address: str) -> bool:
    """Returns whether HOST:PORT, or a URL, names this machine: localhost, or an address of 127.0.0.0/8, ::1, 0.0.0.0 or ::."""
    host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        return True
    try:
        found = ipaddress.ip_address(host) if ":" in host else ipaddress.ip_address(socket.inet_aton(host))  # also 127.1
    except (OSError, ValueError):
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_loopback or found.is_unspecified


def http_proxy(url: str) -> str | None:
    """Returns the URL of the proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name for a URL; None if there is none.

    Raises:
        ValueError: It is not the URL of an HTTP proxy.
    """
    parts, named = urlsplit(url), getproxies()
    proxy = named.get(parts.scheme) or named.get("all")
    if not proxy or is_loopback(url) or proxy_bypass(parts.netloc):
        return None
    proxy = proxy.strip() if "://" in proxy else f"http://{proxy.strip()}"
    if not _is_http(proxy):
        shown = re.sub("//[^/@]*@", "//", proxy)
        raise ValueError(
            f"the environment names the proxy {shown} for {url}, but only http://HOST:PORT and https://HOST:PORT can be used: "
            "correct it, or add the host to NO_PROXY."
        )
    return proxy


def _is_http(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and proxy.isascii() and proxy.isprintable()
    except ValueError:  # the port is none
        return False
