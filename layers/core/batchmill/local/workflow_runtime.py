"""What moto's interpreter of state machines lacks, put in at its seams: stopping, tokens, status events, speed.

moto marks a stopped execution but lets its threads wait on, retry, catch and go on; it takes a second answer to a
task token; it tells nobody when an execution changes; it makes a new boto3 client for every task; and a map's
worker recurses once an item, so that long maps on few workers never end. The seams are private to moto: its
version is pinned, and tests/contract/stack holds what is leaned on.
"""

import importlib
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from batchmill.local.clients import client_for
from batchmill.local.workflow_events import publish_status

_PARSER = "moto.stepfunctions.parser"
_STATE = f"{_PARSER}.asl.component.state"

_lock = threading.RLock()
_endpoints: dict[str, Any] = {}
_halted: set[str] = set()


class ExecutionHalted(BaseException):
    """Ends the thread of a stopped execution. Not an `Exception`: no Retry or Catch may see it."""


def answer(token: str, outcome: Any) -> str | None:
    """Gives a task's token its answer: None when taken, else the error AWS names. A token is answered once."""
    with _lock:
        endpoint = _endpoints.get(token)
        if endpoint is None:
            return "InvalidToken"
        if endpoint.consumer_error is not None or endpoint.get_outcome() is not None:
            return "TaskTimedOut"
        endpoint.notify(outcome)
        return None


def heartbeat(token: str) -> str | None:
    """Tells a waiting task that its worker lives: None when taken, else the error AWS names."""
    with _lock:
        endpoint = _endpoints.get(token)
        if endpoint is None:
            return "InvalidToken"
        if endpoint.consumer_error is not None or endpoint.get_outcome() is not None:
            return "TaskTimedOut"
        endpoint.notify_heartbeat()
        return None


def find(execution_arn: str) -> Any:
    """moto's record of an execution, or None."""
    return next((one for one in _executions() if one.exec_arn == execution_arn), None)


def stop(execution: Any, error: str | None = None, cause: str | None = None) -> datetime:
    """Aborts an execution and all it waits for, and returns when it stopped. A closed one stays as it is."""
    with _lock:
        if execution.status != "RUNNING":
            return _stopped_at(execution)
        _halted.add(execution.exec_arn)
        execution.exec_status = _module("api").ExecutionStatus.ABORTED
        execution.stop_date = datetime.now(UTC)
        execution.error, execution.cause = error, cause
        env = execution.exec_worker.env
    if env is not None:  # else its thread has not begun, and will find itself halted
        env.set_stop(stop_date=execution.stop_date, error=error, cause=cause)
    _close_tokens(execution)
    publish_status(execution)
    return _stopped_at(execution)


def stop_all() -> None:
    """Stops every execution, quietly, and forgets their tokens: the stack is going down."""
    for execution in _executions():
        stop(execution)
    with _lock:
        _endpoints.clear()


def install() -> None:
    """Puts all of it in moto's place. Again: does nothing more."""
    _module("models")  # imports every kind of task, whose clients are replaced below
    environment: Any = _module("asl.eval.environment").Environment
    if getattr(environment, "batchmill", False):
        return
    environment.batchmill = True
    component = _module("asl.component.eval_component").EvalComponent
    component._log_exception = component._log_failure_event_exception = _log_nothing
    _wrap(environment, "set_error", _unless_stopped)
    _wrap(environment, "set_timed_out", _unless_stopped)
    _wrap(_module("asl.component.program.program").Program, "_eval_body", _end_when_halted)
    _wrap(_module("asl.component.state.state").CommonStateField, "_eval_body", _enter_unless_halted)
    _wrap(_module("asl.component.state.exec.execute_state").ExecutionState, "_evaluate_with_timeout", _evaluate)
    _wrap(_module("asl.eval.callback.callback").CallbackPoolManager, "add", _remember_token)
    execution = _module("backend.execution")
    _wrap(execution.Execution, "start", _announce_start)
    _wrap(execution.BaseExecutionWorkerCommunication, "_reflect_execution_status", _announce_end)
    worker = f"{_STATE}.exec.state_map.iteration.itemprocessor.distributed_item_processor_worker"
    importlib.import_module(worker).DistributedItemProcessorWorker._eval_pool = _eval_pool
    for name, module in list(sys.modules.items()):
        if name.startswith(_PARSER) and hasattr(module, "boto_client_for"):
            module.boto_client_for = client_for  # type: ignore[attr-defined]


def _wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(owner, name, wrapped)


def _module(name: str) -> Any:
    return importlib.import_module(f"{_PARSER}.{name}")


def _executions() -> list[Any]:
    if f"{_PARSER}.models" not in sys.modules:
        return []  # nobody asked for Step Functions yet
    backends = _module("models").stepfunctions_parser_backends
    regions = [region for account in backends.values() for region in account.values()]
    return [one for region in regions for machine in region.state_machines for one in machine.executions]


def _stopped_at(execution: Any) -> datetime:
    moment: datetime = execution.stop_date or datetime.now(UTC)
    return moment


def _context(env: Any) -> Any:
    return env.states.context_object.context_object_data


def _is_halted(env: Any) -> bool:
    return _context(env)["Execution"]["Id"] in _halted


def _halt(env: Any) -> None:
    if _is_halted(env):
        raise ExecutionHalted


def _close(endpoint: Any) -> None:
    callback = _module("asl.eval.callback.callback")
    with _lock:
        endpoint.report(callback.CallbackConsumerTimeout())
    endpoint.interrupt_all()


def _close_tokens(execution: Any) -> None:
    env = execution.exec_worker.env
    for endpoint in list(env.callback_pool_manager._pool.values()) if env is not None else []:
        _close(endpoint)


def _log_nothing(*_: Any, **__: Any) -> None:
    """moto renders the whole program, for a log that nobody reads, at each error a state catches."""


def _unless_stopped(original: Any, env: Any, *args: Any, **kwargs: Any) -> None:
    # An execution that was stopped stays stopped, whatever its last threads run into.
    if not isinstance(env._program_state, _module("asl.eval.program_state").ProgramStopped):
        original(env, *args, **kwargs)


def _end_when_halted(original: Any, program: Any, env: Any) -> None:
    try:
        original(program, env)
    except ExecutionHalted:
        if not env.is_frame():
            api, event = _module("api"), _module("asl.eval.event.event_detail")
            env.event_manager.add_event(
                context=env.event_history_context,
                event_type=api.HistoryEventType.ExecutionAborted,
                event_details=event.EventDetails(
                    executionAbortedEventDetails=api.ExecutionAbortedEventDetails(error=None, cause=None)
                ),
            )


def _enter_unless_halted(original: Any, state: Any, env: Any) -> None:
    _halt(env)
    original(state, env)


def _evaluate(original: Any, state: Any, env: Any) -> None:
    _halt(env)
    endpoint = _waiting(env)
    if endpoint is not None and (endpoint.consumer_error is not None or endpoint.get_outcome() is not None):
        # A retry: AWS gives each try a token of its own.
        env.callback_pool_manager.add(env.states.context_object.update_task_token())
        endpoint = _waiting(env)
    try:
        original(state, env)
    except Exception:
        _halt(env)
        if endpoint is not None:
            _close(endpoint)  # timed out or failed: a late answer is refused
        raise


def _waiting(env: Any) -> Any:
    return _endpoints.get(_context(env).get("Task", {}).get("Token", ""))


def _remember_token(original: Any, pool: Any, token: str) -> Any:
    endpoint = original(pool, token)
    with _lock:
        _endpoints[token] = endpoint
    return endpoint


def _announce_start(original: Any, execution: Any) -> None:
    execution.exec_status = _module("api").ExecutionStatus.RUNNING
    publish_status(execution)
    original(execution)


def _announce_end(original: Any, communication: Any) -> None:
    execution = communication.execution
    _module("utils").TMP_THREADS.clear()  # a list of every thread ever, which holds all their data
    with _lock:
        if execution.status != "RUNNING":
            return  # aborted meanwhile
        original(communication)
    _close_tokens(execution)
    publish_status(execution)


def _eval_pool(worker: Any, job: Any, worker_frame: Any) -> None:
    """A map worker's whole life: items one after the other, in a loop rather than by recursion."""
    while job is not None:
        job_frame = worker_frame.open_inner_frame()
        worker._eval_job(env=job_frame, job=job)
        worker_frame.delete_frame(job_frame)
        if _is_halted(worker_frame):
            job.job_output = RuntimeError("the execution was stopped")  # closes the whole pool
        ended = isinstance(job.job_output, Exception) or worker.stopped()
        following = None if ended else worker._job_pool.next_job()
        if following is None:
            worker._env.delete_frame(worker_frame)
        worker._job_pool.close_job(job)
        job = following
