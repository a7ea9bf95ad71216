"""Every kind of domain module by name."""

from gw_agents.domains.attributes import AttributesDomain, VectorDomain
from gw_agents.domains.base import Domain
from gw_agents.domains.image import ImageDomain
from gw_agents.domains.language import LanguageDomain

DOMAINS: dict[str, type[Domain]] = {
    domain.modality: domain
    for domain in (ImageDomain, AttributesDomain, LanguageDomain, VectorDomain)
}
"""The domain class of each kind, which is what checkpoints name; add your own to load them from a folder."""
