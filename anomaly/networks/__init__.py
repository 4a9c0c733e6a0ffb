"""Networks: the MedicalNet encoder, the twin generator with its mask head, the patch discriminator."""

from anomaly.networks.discriminator import SliceDiscriminator
from anomaly.networks.feature_distance import FeatureDistance
from anomaly.networks.latent_gan import LatentGan
from anomaly.networks.medicalnet import encoder_stride, load_medicalnet, medicalnet_encoder, save_medicalnet
from anomaly.networks.memory import Memory
from anomaly.networks.shapes import SliceWise
from anomaly.networks.superpixel import superpixel_image
from anomaly.networks.twin_generator import TwinGenerator

__all__ = [
    "FeatureDistance",
    "LatentGan",
    "Memory",
    "SliceDiscriminator",
    "SliceWise",
    "TwinGenerator",
    "encoder_stride",
    "load_medicalnet",
    "medicalnet_encoder",
    "save_medicalnet",
    "superpixel_image",
]
