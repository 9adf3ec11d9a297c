"""What a server of ours knows of the connection that a request came by."""

from dataclasses import dataclass

from streamgap.core.words import Disconnect


@dataclass(slots=True)
class Connection:
    """Stands in the scope of each request of one connection, under `CONNECTION`.

    `lost_by`: how the client went while a response to it was open; None as long as it is there. It is set before
    `receive` says `http.disconnect`.
    """

    lost_by: Disconnect | None = None
