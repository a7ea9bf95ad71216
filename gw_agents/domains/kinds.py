"""The table of all kinds of domain modules."""

from gw_agents.domains.attributes import AttributesDomain
from gw_agents.domains.base import Domain
from gw_agents.domains.image import ImageDomain
from gw_agents.domains.language import LanguageDomain
from gw_agents.domains.vector import VectorDomain

DOMAINS: dict[str, type[Domain]] = {
    domain.kind: domain for domain in (ImageDomain, AttributesDomain, LanguageDomain, VectorDomain)
}
"""The class of each kind of domain, by the name that checkpoints hold; add your own to load it from
a folder."""
