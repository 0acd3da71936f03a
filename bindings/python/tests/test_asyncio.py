"""`seclude.create_subprocess_exec`: what asyncio's has, on the loop alone."""

import asyncio
import errno
import os
import select
import signal
import threading
import time
import unittest
import unittest.mock

import seclude
from kit import full_connection, open_descriptors

PIPE = asyncio.subprocess.PIPE


class Asyncio(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        # A start is made on the loop's thread, and the machine may be busy.
        asyncio.get_running_loop().slow_callback_duration = 60

    async def test_streams_are_asyncios(self):
        process = await seclude.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        self.assertIsInstance(process.stdin, asyncio.StreamWriter)
        self.assertIsInstance(process.stdout, asyncio.StreamReader)
        process.stdin.write(b"a line\n")
        await process.stdin.drain()
        self.assertEqual(await process.stdout.readline(), b"a line\n")
        self.assertIsNone(process.returncode)
        process.stdin.close()
        await process.stdin.wait_closed()
        self.assertEqual(await process.wait(), 0)
        self.assertEqual(process.report["cause"], "exited")

    async def test_communicate_carries_more_than_a_pipe_holds(self):
        text = b"x" * (1 << 20)
        process = await seclude.create_subprocess_shell("tee /dev/stderr", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        self.assertEqual(await process.communicate(text), (text, text))
        self.assertEqual(process.returncode, 0)

    async def test_it_is_contained(self):
        ours = os.readlink("/proc/self/ns/pid")
        for preset, same in (("sandbox", False), ("bare", True)):
            process = await seclude.create_subprocess_exec("readlink", "/proc/self/ns/pid", stdout=PIPE, preset=preset)
            said, _ = await process.communicate()
            self.assertEqual(said.decode().strip() == ours, same)

    async def test_of_a_start_that_is_cancelled_nothing_runs_on(self):
        pids = []

        class Noted(seclude.Popen):
            def __init__(self, *args, **options):
                super().__init__(*args, **options)
                pids.append(self.pid)

        for options in ({}, {"stdin": PIPE, "stdout": PIPE}):
            for preset in ("sandbox", "bare"):
                container = {"preset": preset, "die_with_parent": False}
                with unittest.mock.patch("seclude._asyncio.Popen", Noted):
                    start = seclude.create_subprocess_exec("sleep", "1000", container=container, **options)
                    task = asyncio.get_running_loop().create_task(start)
                    asyncio.get_running_loop().call_soon(task.cancel)
                    with self.assertRaises(asyncio.CancelledError):
                        await task
                with self.assertRaises(ProcessLookupError):
                    os.kill(pids.pop(), 0)

    async def test_many_at_once_and_no_thread_for_each(self):
        before = threading.active_count()
        tasks = len(os.listdir("/proc/self/task"))
        started = time.monotonic()
        # As root, an output file that others may read would have a thread that relays.
        own = {"stdout": seclude.DEVNULL, "stderr": seclude.DEVNULL}
        processes = [await seclude.create_subprocess_exec("sleep", "0.5", **own) for _ in range(8)]
        # One answers what their filters ask, and is gone with the last.
        self.assertLessEqual(len(os.listdir("/proc/self/task")), tasks + 1)
        self.assertEqual(await asyncio.gather(*(process.wait() for process in processes)), [0] * 8)
        self.assertEqual((threading.active_count(), len(os.listdir("/proc/self/task"))), (before, tasks))
        self.assertLess(time.monotonic() - started, 8 * 0.5 + 4)

    async def test_signals_and_kill_tree(self):
        for end, number in (("terminate", signal.SIGTERM), ("kill", signal.SIGKILL), ("kill_tree", signal.SIGKILL)):
            process = await seclude.create_subprocess_exec("sleep", "60")
            getattr(process, end)()
            self.assertEqual(await process.wait(), -number)
        self.assertEqual(process.report["cause"], "killed")
        with self.assertRaises(ProcessLookupError):
            process.send_signal(signal.SIGTERM)

    async def test_a_wait_can_be_given_up_and_made_again(self):
        process = await seclude.create_subprocess_exec("sleep", "60")
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), 0.1)
        self.assertIsNone(process.returncode)
        process.kill_tree()
        self.assertEqual(await process.wait(), -9)

    async def test_the_containers_deadline_is_kept_by_the_loop(self):
        process = await seclude.create_subprocess_exec("sleep", "60", container={"deadline": "1500ms"})
        self.assertEqual(await asyncio.wait_for(process.wait(), 30), -9)
        self.assertEqual(process.report["cause"], "deadline")

    async def test_an_end_that_could_not_be_had_is_told_once_and_looked_for_again(self):
        failing = [OSError("nobody knows"), OSError("nobody knows yet")]

        class Failing:
            """A process whose end is known to the third who asks."""

            def __init__(self, process):
                self.process = process

            def poll(self):
                if failing and select.select([watch], [], [], 0)[0]:
                    raise failing.pop(0)
                return self.process.poll()

            def __getattr__(self, name):
                return getattr(self.process, name)

        process = await seclude.create_subprocess_exec("sleep", "0.3", container={"deadline": "30s"})
        watch = process._popen._process.watch()
        self.addCleanup(os.close, watch)
        process._popen._process = Failing(process._popen._process)
        waits = [asyncio.ensure_future(process.wait()) for _ in range(2)]
        self.assertEqual([str(told) for told in await asyncio.gather(*waits, return_exceptions=True)], ["nobody knows"] * 2)
        with self.assertRaisesRegex(OSError, "nobody knows yet"):
            await process.wait()
        self.assertEqual(await process.wait(), 0)

    async def test_an_end_is_seen_also_where_no_descriptor_can_be_had_meanwhile(self):
        ours, theirs, many = full_connection()
        with ours:
            with theirs:
                process = await seclude.create_subprocess_exec("echo", "said", stdout=theirs)
            inner, failed = process._popen._process, []

            class Full:
                """One that can give no descriptor for a while."""

                def watch(self):
                    if len(failed) < 5:
                        failed.append(1)
                        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                    return inner.watch()

                def __getattr__(self, name):
                    return getattr(inner, name)

            process._popen._process = Full()
            end = asyncio.ensure_future(process.wait())
            while len(failed) < 5:
                await asyncio.sleep(0.01)
            self.assertFalse(end.done())
            ours.setblocking(False)
            many += len("said\n")
            while many:
                many -= len(await asyncio.get_running_loop().sock_recv(ours, many))
            self.assertEqual(await asyncio.wait_for(end, 30), 0)

    async def test_a_command_that_is_not_there(self):
        before = open_descriptors()
        with self.assertRaises(FileNotFoundError):
            await seclude.create_subprocess_exec("/no/such", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        self.assertEqual(open_descriptors(), before)

    async def test_nothing_is_left_open(self):
        before = open_descriptors()
        for _ in range(5):
            process = await seclude.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, stderr=PIPE)
            await process.communicate(b"x")
        # Transports close in the loop's next turns.
        await asyncio.sleep(0.05)
        self.assertEqual(open_descriptors(), before)

    async def test_what_asyncio_refuses_is_refused(self):
        for options in ({"text": True}, {"universal_newlines": True}, {"encoding": "utf-8"}, {"bufsize": 1}, {"shell": True}):
            with self.assertRaises(ValueError):
                await seclude.create_subprocess_exec("true", **options)
        with self.assertRaises(ValueError):
            await seclude.create_subprocess_shell(["true"])

    async def test_in_a_loop_of_another_thread(self):
        async def there():
            process = await seclude.create_subprocess_exec("echo", "x", stdout=PIPE)
            return await process.communicate()

        self.assertEqual(await asyncio.to_thread(lambda: asyncio.run(there())), (b"x\n", None))


if __name__ == "__main__":
    unittest.main()
