"""Which kind of source a user means: told by what is there, not by names."""

from pathlib import Path
from urllib.parse import urlsplit

from geldspur.bitcoin.networks import Network
from geldspur.errors import UsageError
from geldspur.ledger.core_files import CoreFiles
from geldspur.ledger.sources import Source
from geldspur.progress import SILENT, Progress


def open_source(
    where: str, network: Network | None = None, login: Path | None = None, progress: Progress = SILENT
) -> Source:
    """A node (`node`, or `http://HOST:PORT`), a folder of Parquet tables, or Bitcoin Core's files.

    `login` is for a node: a file with `user:password`, such as its `.cookie`. Raises `GeldspurError` where
    nothing of the kind is there.
    """
    if where == "node" or where.startswith("http://"):
        from geldspur.ledger.node import LOOPBACK, Node

        try:
            address = urlsplit(where)
            host, port = address.hostname or LOOPBACK, address.port
        except ValueError as error:
            raise UsageError(f"{where} is not the address of a node", todo="write http://HOST:PORT") from error
        if address.username or address.password:
            raise UsageError(
                "a password on the command line can be read by every user of the machine",
                todo="put user:password into a file and name it with --login",
            )
        return Node(network, host=host, port=port, login=login)
    if login is not None:
        raise UsageError("--login is for a node", todo="give node or http://HOST:PORT in the place of a path")
    path = Path(where)
    if path.is_dir() and not any(path.glob("blk*.dat")) and any(path.rglob("*.parquet")):
        from geldspur.ledger.parquet_source import ParquetTables

        return ParquetTables(path, network, progress)
    return CoreFiles(path, network, progress)
