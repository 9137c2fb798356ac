"""Stargazer's task manager, written afresh from its documented behaviour, as a side of the benchmarks.

A call is first waited for inline. What is not done within the limit becomes a background task with an id, whose result is
kept in memory and asked for by that id. There is no cancel and no signal. It reads one order a line as JSON, and answers
each with one line (see sides/orders.ts).
"""

import asyncio
import gc
import json
import sys
import time
import tracemalloc
import uuid


class TaskRecord:
    def __init__(self, task_id, tool_name, user_id, channel_id, platform, handle):
        self.task_id = task_id
        self.tool_name = tool_name
        self.status = "running"
        self.created_at = time.time()
        self.result = ""
        self.error = ""
        self.user_id = user_id
        self.channel_id = channel_id
        self.platform = platform
        self.handle = handle
        self.redirect_channel_id = ""
        self.redirect_platform = ""
        self.redirect_adapter = None
        self.redirect_max_chars = 0


class TaskManager:
    def __init__(self, timeout=10.0):
        self.timeout = timeout
        self.tasks = {}

    async def execute(self, work, tool_name="", user_id="", channel_id="", platform=""):
        handle = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({handle}, timeout=self.timeout)
        if done:
            return str(handle.result())
        task_id = uuid.uuid4().hex[:12]
        record = TaskRecord(task_id, tool_name, user_id, channel_id, platform, handle)
        self.tasks[task_id] = record
        handle.add_done_callback(lambda ended: self.complete(record, ended))
        message = f"Still running. Call check_task with {task_id}."
        return json.dumps({"task_id": task_id, "tool_name": tool_name, "status": "running", "message": message})

    def complete(self, record, ended):
        if ended.cancelled():
            record.status, record.error = "failed", "Task was cancelled."
        elif ended.exception() is not None:
            error = ended.exception()
            record.status, record.error = "failed", f"{type(error).__name__}: {error}"
        else:
            record.status, record.result = "completed", str(ended.result())

    async def get_result(self, task_id, user_id=None):
        record = self.tasks.get(task_id)
        if record is None or (user_id is not None and record.user_id != user_id):
            return json.dumps({"error": "not found"})
        if record.status == "completed":
            return record.result
        if record.status == "failed":
            return json.dumps({"task_id": task_id, "status": "failed", "error": record.error})
        elapsed = round(time.time() - record.created_at, 1)
        return json.dumps(
            {"task_id": task_id, "tool_name": record.tool_name, "status": "running", "elapsed_seconds": elapsed}
        )


async def plus_one(n):
    return n + 1


async def plus_one_later(n):
    await asyncio.sleep(0)
    return n + 1


async def never():
    await asyncio.get_running_loop().create_future()


WORKS = {"now": plus_one, "later": plus_one_later}


async def one_by_one(manager, work, count):
    total = 0
    for n in range(count):
        total += int(await manager.execute(work(n), "plus_one", "bench"))
    return total


async def in_batches(manager, work, count):
    total = 0
    for first in range(0, count, 1000):
        batch = [manager.execute(work(n), "plus_one", "bench") for n in range(first, min(first + 1000, count))]
        for text in await asyncio.gather(*batch):
            total += int(text)
    return total


def check(total, count):
    if total != count * (count + 1) // 2:
        raise RuntimeError(f"the tasks gave {total}")


async def time_calls(manager, order):
    count = order["count"]
    run = one_by_one if order["order"] == "one" else in_batches
    gc.collect()
    await run(manager, WORKS[order["work"]], -(-count // 10))
    started, started_cpu = time.perf_counter(), time.process_time()
    total = await run(manager, WORKS[order["work"]], count)
    took, took_cpu = time.perf_counter() - started, time.process_time() - started_cpu
    check(total, count)
    return {"us": took * 1e6 / count, "cpuUs": took_cpu * 1e6 / count}


async def time_background(order):
    count = order["count"]
    manager = TaskManager(timeout=0)
    gates = []

    async def gated(n):
        gate = asyncio.get_running_loop().create_future()
        gates.append(gate)
        await gate
        return n + 1

    gc.collect()
    started = time.perf_counter()
    ids = [json.loads(await manager.execute(gated(n), "plus_one", "bench"))["task_id"] for n in range(count)]
    began = time.perf_counter()
    for gate in gates:
        gate.set_result(None)
    while any(record.status == "running" for record in reversed(manager.tasks.values())):
        await asyncio.sleep(0)
    ended = time.perf_counter()
    total = 0
    for task_id in ids:
        total += int(await manager.get_result(task_id, "bench"))
    fetched = time.perf_counter()
    check(total, count)
    spans = {"startUs": began - started, "finishUs": ended - began, "fetchUs": fetched - ended}
    return {name: span * 1e6 / count for name, span in spans.items()}


class Crowd:
    """Calls that never end, held by the manager that the quick calls are made with."""

    def __init__(self):
        self.calls = []

    async def raise_to(self, manager, count):
        while len(self.calls) < count:
            self.calls.append(asyncio.ensure_future(manager.execute(never(), "never", "bench")))
            if len(self.calls) % 1000 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()


async def main():
    manager = TaskManager()
    # Those of the crowd must stay inline for as long as they are looked at.
    patient = TaskManager(timeout=3600)
    crowd = Crowd()

    async def answer(order):
        if order["kind"] == "calls":
            return await time_calls(patient if crowd.calls else manager, order)
        if order["kind"] == "background":
            return await time_background(order)
        if order["kind"] == "live":
            if order["isWeighed"] and not tracemalloc.is_tracing():
                tracemalloc.start()
            await crowd.raise_to(patient, order["count"])
            if not order["isWeighed"]:
                return {"heap": 0}
            return {"heap": tracemalloc.get_traced_memory()[0]}
        raise RuntimeError(f"there is no order {order['kind']}")

    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            reply = {"value": await answer(json.loads(line))}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


asyncio.run(main())
