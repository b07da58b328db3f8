"""Custody of a scan: sealed when it is made, verified when it is doubted.

`seal` binds rows and log by a manifest, signed where a key is given; `verify` checks all of it again and, where the
source is named, the files themselves. Verifying writes nothing.

Every scan ends with a seal and passes this door: cryptography, X.509 and disk images are loaded by what needs them.
"""

from geldspur.evidence.custody.checks import Check
from geldspur.evidence.custody.seal import Sealed, seal, seal_after_work
from geldspur.evidence.custody.source import Sample
from geldspur.evidence.custody.verify import Against, Verdict, verify

__all__ = ["Against", "Check", "Sample", "Sealed", "Verdict", "seal", "seal_after_work", "verify"]
