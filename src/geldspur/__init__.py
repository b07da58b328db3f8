"""Follow Bitcoin payments for investigators."""

__version__ = "0.1.0"

from geldspur import kernelcache

kernelcache.prepare()
