"""ProxyAno: between image and reconstruction stands a superpixel image that holds only what is normal."""

from anomaly.methods.proxyano.method import ProxyAno, paste
from anomaly.methods.proxyano.trainer import ProxyAnoTrainer

__all__ = ["ProxyAno", "ProxyAnoTrainer", "paste"]
