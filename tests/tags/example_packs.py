"""Small packs that the tests of this room are about."""

from pathlib import Path

MAINNET_ADDRESSES = (
    "1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mo",
    "36j4NfKv6Akva9amjWrLG6MuSQym1GuEmm",
    "bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhv",
    "bc1p83n3au0rjylefxq2nc2xh2y4jzz4pm6zxj4mw5pagdjjr2a9f36s6jjnnu",
)

EXCHANGE = """\
title: Reserve wallets
creator: A team
confidence: service_data
category: exchange
currency: BTC
label: example exchange
source: https://example.org/reserves
lastmod: 2022-11-16
is_cluster_definer: true
actor: example
tags:
- address: 1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mo
- address: 36j4NfKv6Akva9amjWrLG6MuSQym1GuEmm
  label: example exchange, cold
  lastmod: 2023-01-02
  is_cluster_definer: false
"""

MIXER = """\
title: Mixers
creator: A team
tags:
- address: bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhv
  label: example mixer
  source: https://example.org/mixers
  confidence: web_crawl
  category: mixing_service
  network: BTC
"""

ACTORS = """\
title: Actors
creator: A team
lastmod: '2023-02-17'
actors:
- id: example
  label: Example Exchange
  uri: https://example.org
  categories: [exchange, organization]
  jurisdictions: [NO, de]
- id: other
  label: Other
  uri: https://other.example.org
  categories: [organization]
"""


def write(folder: Path, **texts: str) -> list[Path]:
    """The packs as files."""
    paths = []
    for name, text in texts.items():
        path = folder / f"{name}.yaml"
        path.write_text(text, "utf-8")
        paths.append(path)
    return paths
