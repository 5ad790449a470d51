"""Errors of the service: who may, what is there, and what it can do now."""

from __future__ import annotations

from tunesmith.spec.errors.base import TunesmithError


class ServiceError(TunesmithError):
    """The service cannot do what was asked, through no fault of a run."""

    code = "service"
    status = 400
    exit_code = 78


class Unauthenticated(ServiceError):
    """No key, or one that nobody has."""

    code = "unauthenticated"
    status = 401

    def __init__(self, why: str = "A key is needed.") -> None:
        super().__init__(f"{why} Send it as `Authorization: Bearer KEY`; `tunesmith keys create` makes one.")


class Forbidden(ServiceError):
    """A key that may not do this."""

    code = "forbidden"
    status = 403

    def __init__(self, why: str) -> None:
        super().__init__(f"This is not allowed: {why}. Ask an administrator for a key that may.")


class NotFound(ServiceError):
    """Nothing of that id, or nothing that the key's organisation may see."""

    code = "not_found"
    status = 404

    def __init__(self, noun: str, id: str) -> None:
        super().__init__(f"There is no {noun} '{id[:80]}'. List what there is, and check the id.")


class Conflict(ServiceError):
    """Something is not in the state that the request needs."""

    code = "conflict"
    status = 409

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what} {todo}".strip())


class WrongJobState(ServiceError):
    """The job is in a state in which this cannot be done to it."""

    code = "wrong_job_state"
    status = 409

    def __init__(self, job: str, state: str, action: str, todo: str) -> None:
        super().__init__(f"Job {job} is {state} and cannot be {action}. {todo}")


class KeyReused(ServiceError):
    """An idempotency key that came with another request before."""

    code = "idempotency_key_reused"
    status = 422

    def __init__(self, key: str) -> None:
        super().__init__(f"The idempotency key '{key[:80]}' came with another request before. Use one key per request.")


class QuotaExceeded(ServiceError):
    """The organisation has used up what it may have."""

    code = "quota_exceeded"
    status = 429

    def __init__(self, org: str, what: str, limit: str) -> None:
        super().__init__(f"Organisation '{org}' has reached its limit of {what} ({limit}). Wait, or have it raised.")


class TooManyRequests(ServiceError):
    """More requests in a minute than one key may send."""

    code = "too_many_requests"
    status = 429

    def __init__(self, limit: int, wait: float) -> None:
        super().__init__(f"More than {limit} requests came within a minute. Try again in {wait:.0f} seconds.")
        self.wait = wait


class TooLarge(ServiceError):
    """A body that is larger than the server takes."""

    code = "too_large"
    status = 413

    def __init__(self, limit: int, todo: str = "Upload data by /api/uploads, then name it.") -> None:
        super().__init__(f"The body is larger than {limit:,} bytes. {todo}")


class PathNotAllowed(ServiceError):
    """A path that leads where requests may not read or write."""

    code = "path_not_allowed"
    status = 422

    def __init__(self, path: str, roots: str) -> None:
        super().__init__(f"'{path[:200]}' lies outside of what requests may name ({roots}). Choose a path inside.")


class UnstorableText(ServiceError):
    """A request has a text that the database cannot keep."""

    code = "unstorable_text"
    status = 422

    def __init__(self, why: str) -> None:
        super().__init__(f"The request has a text that the database cannot keep: {why}. Leave such characters out.")


class DatabaseUnusable(ServiceError):
    """The database cannot be used at all."""

    code = "database_unusable"
    status = 503

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url}: the database cannot be used: {why}. Mend that, or set TUNESMITH_DATABASE_URL.")


class ServerGone(ServiceError):
    """The server of this home does not answer any more."""

    code = "server_gone"
    status = 503

    def __init__(self, url: str) -> None:
        super().__init__(f"The server at {url} does not answer. Its log says why; runs that it began go on.")


class LeaseLost(ServiceError):
    """Another supervisor has taken the job over; whatever is written now is stale."""

    code = "lease_lost"
    status = 409

    def __init__(self, job: str) -> None:
        super().__init__(f"Job {job} belongs to another supervisor by now. Nothing was written.")


class NotInstalled(ServiceError):
    """A kind of model that nothing in this installation trains."""

    code = "not_installed"
    status = 422

    def __init__(self, asked: str, tasks: list[str]) -> None:
        super().__init__(f"{asked} cannot be trained by this installation. It trains: {', '.join(tasks)}.")


class ForeignHost(ServiceError):
    """A request for a name that is none of this server's: how a web page reaches a server behind its reader's back."""

    code = "foreign_host"
    status = 421

    def __init__(self, host: str) -> None:
        super().__init__(
            f"'{host[:80]}' is no name of this server. Call it by the address that it listens on, or have the name "
            "listed in TUNESMITH_HOST_NAMES."
        )


class ForeignOrigin(ServiceError):
    """A request that a web page of another origin sent."""

    code = "foreign_origin"
    status = 403

    def __init__(self, origin: str) -> None:
        super().__init__(f"Pages of '{origin[:80]}' may not call this server. Send the request from a program instead.")


class WrongContentType(ServiceError):
    """A body of a kind that the server does not take, such as what a web page may send to any server."""

    code = "wrong_content_type"
    status = 415

    def __init__(self, found: str) -> None:
        super().__init__(f"A body of type '{found[:80]}' is not taken. Send JSON with Content-Type: application/json.")


class KeysNeeded(ServiceError):
    """A server that others could call without being asked who they are."""

    code = "keys_needed"
    status = 403

    def __init__(self, host: str) -> None:
        super().__init__(
            f"Other machines can reach {host}, and there are no keys yet. Make one with `tunesmith keys create`, or "
            "name the hosts under which anybody may call with --trusted-network HOST."
        )


class PortUnusable(ServiceError):
    """A port that cannot be listened on."""

    code = "port_unusable"
    status = 500

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(f"Port {port} of {host} cannot be listened on: {why}. Give another with --port; 0 takes any.")


class Broken(ServiceError):
    """A fault of the server's own; the log has the whole story under the id."""

    code = "internal"
    status = 500

    def __init__(self, id: str) -> None:
        super().__init__(f"Something went wrong in the server. Its log tells more under {id}; please report it.")
