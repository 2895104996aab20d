"""The shard record and its transitions.

Every change is a pure function from the record to the next one; a store applies it by compare-and-swap, so the
history of a record is one line whoever writes. TRANSITIONS is the whole table: what is not in it cannot happen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from batchmill.domain.errors import Evicted, StaleDispatch
from batchmill.domain.span import Span


class ShardState(StrEnum):
    """Where a shard stands. `planned` is a shard that has no record yet."""

    PLANNED = "planned"
    WAITING = "waiting"
    SENT = "sent"
    RUNNING = "running"
    COMMITTED = "committed"


_P, _W, _S, _R, _C = ShardState

TRANSITIONS: frozenset[tuple[ShardState, ShardState, str]] = frozenset(
    {
        (_P, _W, "dispatch"),
        (_W, _W, "dispatch"),
        (_S, _W, "dispatch"),
        (_R, _W, "dispatch"),
        (_W, _W, "send"),
        (_W, _S, "send"),
        (_W, _R, "work"),
        (_S, _R, "work"),
        (_R, _R, "work"),
        (_R, _W, "work"),
        (_W, _W, "reroute"),
        (_S, _W, "reroute"),
        (_R, _W, "reroute"),
        *((state, _C, "commit") for state in ShardState),
    }
)
"""(from, to, by): `by` is the step that may, `commit` being whoever has seen the part
(work, land, dispatch, resume, sweep), `reroute` sweep, and resume for a dead letter, and `send` whoever puts the
message into the pool's queue (dispatch; pause and sweep for a parked shard)."""


RENEWALS_PER_LEASE = 3
"""How often a holder renews in the time of one lease."""


@dataclass(frozen=True, order=True)
class ShardKey:
    """Which shard of which run of which batch."""

    batch_id: str
    run: int
    shard: int


@dataclass(frozen=True)
class Progress:
    """What an attempt has finished so far, the checkpoints it took over included. For people, not for the protocol."""

    ok: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Shard:
    """One shard's record. Times are seconds since the epoch.

    `dispatch` counts how often the shard was sent, `attempt` how often it was claimed; both only grow. `token` is
    the task token that waits for it, None when none does. `renewal` counts the holder's renewals; `seen_renewal`
    and `seen_at` are sweep's own notes of it, so that a lease is judged by one clock alone. `rerouting` says that
    the token is to be failed, and stays until another dispatch takes the shard. `asked` is when the state machine
    entered the dispatch that stands, and its retry: a slower, older call must not replace its token. `doubt` is the
    message that found a holder, and the attempt and renewal count that it found. `failures` counts attempts that ended
    by an error of ours. `parked`: the shard waits, and no message of its dispatch is known to be out.
    """

    key: ShardKey
    span: Span
    state: ShardState = ShardState.PLANNED
    dispatch: int = 0
    attempt: int = 0
    token: str | None = None
    route_index: int = 0
    backend: str = ""
    pool: str = ""
    fingerprint: str = ""
    deadline: float = 0.0
    holder: str = ""
    renewal: int = 0
    seen_renewal: int = -1
    seen_at: float = 0.0
    committed_attempt: int | None = None
    progress: Progress = Progress()
    rerouting: bool = False
    asked: tuple[str, int] = ("", 0)
    doubt: tuple[str, int, int] | None = None
    failures: int = 0
    parked: bool = False
    created_at: float = 0.0
    updated_at: float = 0.0


def _move(shard: Shard, state: ShardState, by: str, now: float, parked: bool = False, **changes: object) -> Shard:
    if (shard.state, state, by) not in TRANSITIONS:
        raise AssertionError(f"{by} may not take a shard from {shard.state} to {state}")
    return replace(shard, state=state, updated_at=now, parked=parked, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Placement:
    """Where a dispatch sends a shard: one entry of the batch's route."""

    backend: str
    pool: str
    fingerprint: str


def dispatched(
    shard: Shard, token: str, place: Placement, deadline: float, now: float, asked: tuple[str, int] = ("", 0)
) -> Shard:
    """A new dispatch holds the shard: `token` waits for it, and every earlier message and attempt is stale.

    A committed shard only takes the token, so that whoever sees the part can answer it. `asked` (ISO time of entering
    the state, retry count) orders calls: raises StaleDispatch for one that a later call has overtaken.
    """
    if asked < shard.asked:
        raise StaleDispatch(f"shard {shard.key.shard} was dispatched by a later call")
    created = shard.created_at or now
    if shard.state is ShardState.COMMITTED:
        return replace(shard, token=token, asked=asked, updated_at=now)
    return _move(
        shard,
        ShardState.WAITING,
        "dispatch",
        now,
        dispatch=shard.dispatch + 1,
        token=token,
        backend=place.backend,
        pool=place.pool,
        fingerprint=place.fingerprint,
        deadline=deadline,
        created_at=created,
        seen_renewal=-1,
        holder="",
        rerouting=False,
        asked=asked,
        doubt=None,
    )


def sent(shard: Shard, before: Shard, now: float) -> Shard:
    """The message of its dispatch is in the queue. No change if the shard has moved on since it was as `before`.

    A claim in between counts as such: its worker may have parked the shard again, and deleted that message.
    """
    moved_on = (shard.dispatch, shard.attempt) != (before.dispatch, before.attempt)
    if moved_on or shard.state is not ShardState.WAITING:
        return shard
    return _move(shard, ShardState.SENT, "send", now)


def held_back(shard: Shard, dispatch: int, now: float) -> Shard:
    """The dispatch sends no message: its batch is paused. No change if the shard has moved on since."""
    if shard.dispatch != dispatch or shard.state is not ShardState.WAITING:
        return shard
    return _move(shard, ShardState.WAITING, "dispatch", now, parked=True)


def releasable(shard: Shard) -> bool:
    """Whether it is to be sent once its batch goes on."""
    return shard.parked and shard.token is not None


def released(shard: Shard, now: float) -> Shard:
    """The shard's message is about to be sent, of a dispatch of its own: what others send of it is of the past.

    It stays parked until that is `sent`: whoever is cut off in between leaves it to the next. No change if it is not
    `releasable`.
    """
    if not releasable(shard):
        return shard
    return _move(shard, ShardState.WAITING, "send", now, parked=True, dispatch=shard.dispatch + 1, doubt=None)


def claimed(shard: Shard, dispatch: int, message: str, holder: str, now: float) -> Shard:
    """A worker takes the shard, or looks at its holder; it has it where the result names it as the holder.

    A shard that somebody holds is only doubted at first: `message` (an id) comes again after a lease, and a holder that
    has not renewed by then is evicted. Another message tells nothing of that lease, and leaves the doubt as it is.
    Raises StaleDispatch if the message is of the past.
    """
    if shard.dispatch != dispatch or shard.state is ShardState.COMMITTED:
        raise StaleDispatch(f"shard {shard.key.shard} is {shard.state} at dispatch {shard.dispatch}, not {dispatch}")
    doubt = (message, shard.attempt, shard.renewal)
    if shard.state is ShardState.RUNNING and shard.doubt != doubt:
        renewed_since = shard.doubt is None or shard.doubt[1:] != doubt[1:]
        return replace(shard, doubt=doubt) if renewed_since else shard
    return _move(
        shard,
        ShardState.RUNNING,
        "work",
        now,
        attempt=shard.attempt + 1,
        holder=holder,
        renewal=0,
        seen_renewal=-1,
        doubt=None,
    )


def _held(shard: Shard, attempt: int) -> None:
    if shard.state is not ShardState.RUNNING or shard.attempt != attempt:
        raise Evicted(f"shard {shard.key.shard} is {shard.state} at attempt {shard.attempt}, not {attempt}")


def renewed(shard: Shard, attempt: int, progress: Progress, now: float) -> Shard:
    """The holder is alive. Raises Evicted if the shard is no longer this attempt's."""
    _held(shard, attempt)
    return replace(shard, renewal=shard.renewal + 1, progress=progress, updated_at=now)


def failed(shard: Shard, attempt: int, now: float) -> Shard:
    """The holder met an error of ours, not the row's: the shard waits for another try. Raises Evicted as renewed."""
    _held(shard, attempt)
    return _move(shard, ShardState.WAITING, "work", now, holder="", failures=shard.failures + 1)


def given_back(shard: Shard, attempt: int, now: float) -> Shard:
    """The holder stops; its message goes back to the queue. Raises Evicted if the shard is no longer its."""
    _held(shard, attempt)
    return _move(shard, ShardState.WAITING, "work", now, holder="")


def parked(shard: Shard, attempt: int, now: float) -> Shard:
    """The batch is paused: nobody holds the shard, and its message is to be deleted. Raises Evicted as renewed."""
    _held(shard, attempt)
    return _move(shard, ShardState.WAITING, "work", now, holder="", parked=True)


def committed(shard: Shard, attempt: int | None, now: float, progress: Progress | None = None) -> Shard:
    """The part exists, written by `attempt`. Committed stays committed, by the attempt that was first recorded."""
    if shard.state is ShardState.COMMITTED:
        return shard
    return _move(
        shard,
        ShardState.COMMITTED,
        "commit",
        now,
        committed_attempt=attempt,
        progress=progress or shard.progress,
        created_at=shard.created_at or now,
    )


def rerouted(shard: Shard, now: float) -> Shard:
    """The shard leaves where it was: its holder is evicted, and its token is to be failed (until then it is kept)."""
    if shard.state in (ShardState.COMMITTED, ShardState.PLANNED):
        return shard
    return _move(
        shard, ShardState.WAITING, "reroute", now, route_index=shard.route_index + 1, holder="", rerouting=True
    )


def answered(shard: Shard, token: str, now: float) -> Shard:
    """`token` has been answered. No change if another waits by now."""
    return replace(shard, token=None, updated_at=now) if shard.token == token else shard


def observed(shard: Shard, now: float) -> Shard:
    """Sweep's note of the renewal count and of when, by sweep's clock, it first saw it."""
    if shard.renewal == shard.seen_renewal:
        return shard
    return replace(shard, seen_renewal=shard.renewal, seen_at=now)


def lease_is_dead(shard: Shard, lease_seconds: float, now: float) -> bool:
    """Whether sweep has seen the same renewal count for longer than the lease, by its own clock alone."""
    unchanged = shard.seen_renewal == shard.renewal
    return shard.state is ShardState.RUNNING and unchanged and now - shard.seen_at > lease_seconds
