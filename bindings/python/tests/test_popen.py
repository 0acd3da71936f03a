"""`seclude.Popen`: what subprocess.Popen has, and the container."""

import io
import os
import signal
import subprocess
import threading
import time
import unittest

import seclude
from kit import PYTHON, eventually, full_connection, needs_cgroup, open_descriptors


class AsSubprocess(unittest.TestCase):
    def test_it_is_one(self):
        with seclude.Popen(["cat"], stdin=seclude.PIPE, stdout=seclude.PIPE, text=True) as process:
            self.assertIsInstance(process, subprocess.Popen)
            self.assertIsNone(process.poll())
            self.assertIsNone(process.report)
            self.assertEqual(process.args, ["cat"])
            self.assertTrue(os.path.exists(f"/proc/{process.pid}"))
            process.stdin.write("a line\n")
            process.stdin.close()
            self.assertEqual(process.stdout.readline(), "a line\n")
            self.assertEqual(process.wait(timeout=30), 0)
        self.assertEqual((process.poll(), process.returncode, process.report["cause"]), (0, 0, "exited"))

    def test_communicate_can_be_tried_again(self):
        with seclude.Popen("cat; sleep 0.6; echo end", shell=True, stdin=seclude.PIPE, stdout=seclude.PIPE) as process:
            with self.assertRaises(subprocess.TimeoutExpired):
                process.communicate(b"begin\n", timeout=0.2)
            self.assertEqual(process.communicate(), (b"begin\nend\n", None))

    def test_communicate_has_what_the_streams_have_read_or_written_ahead(self):
        for options, said in (({}, b"and "), ({"text": True}, "and "), ({"bufsize": 0}, b"and ")):
            given = {"shell": True, "stdin": seclude.PIPE, "stdout": seclude.PIPE, "stderr": seclude.PIPE, **options}
            for container in ({}, {"deadline": "60s"}):
                script = "printf 'first\\nand '; read line; echo \"$line\"; echo over >&2; cat"
                with self.subTest(options=options, container=container):
                    with seclude.Popen(script, container=container, **given) as process:
                        word = process.stdout.readline()
                        process.stdin.write(word)
                        self.assertEqual(process.communicate(word, timeout=60)[0], said + 2 * word)
                        self.assertEqual(process.communicate()[0], said + 2 * word)
        # And half a letter.
        script = r"printf 'first\n\303'; sleep 0.3; printf '\244\r\n'"
        for container in ({}, {"deadline": "60s"}):
            with seclude.Popen(["sh", "-c", script], container=container, stdout=seclude.PIPE, encoding="utf-8") as process:
                self.assertEqual(process.stdout.readline(), "first\n")
                self.assertEqual(process.communicate(), ("ä\n", None))

    def test_streams_block_as_before_when_communicate_has_given_up(self):
        with seclude.Popen("sleep 0.7; cat", shell=True, stdin=seclude.PIPE, stdout=seclude.PIPE) as process:
            with self.assertRaises(subprocess.TimeoutExpired):
                process.communicate(bytes(1 << 20), timeout=0.2)
            self.assertTrue(os.get_blocking(process.stdout.fileno()) and os.get_blocking(process.stdin.fileno()))
            # What it was given is not forgotten.
            self.assertEqual(process.communicate(), (bytes(1 << 20), None))

    def test_a_wait_may_be_for_ever(self):
        for container in ({}, {"deadline": "600h"}):
            with seclude.Popen(["sleep", "0.2"], container=container) as process:
                self.assertEqual(process.wait(timeout=float("inf")), 0)

    def test_streams_are_buffered_as_asked(self):
        with seclude.Popen(["cat"], bufsize=0, stdin=seclude.PIPE, stdout=seclude.PIPE) as process:
            self.assertIsInstance(process.stdin, io.RawIOBase)
            process.stdin.write(b"x")
            self.assertEqual(process.stdout.read(1), b"x")
            process.stdin.close()

    def test_files_and_descriptors_are_streams(self):
        read, write = os.pipe()
        with open("/etc/hostname") as file, seclude.Popen(["cat"], stdin=file, stdout=write) as process:
            os.close(write)
            self.assertEqual(process.wait(), 0)
            file.seek(0)
            self.assertEqual(os.read(read, 1000).decode(), file.read())
        os.close(read)

    def test_wait_has_a_timeout_and_does_not_kill(self):
        with seclude.Popen(["sleep", "0.7"]) as process:
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
            self.assertEqual(process.wait(), 0)

    def test_signals_reach_the_command(self):
        script = "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done"
        with seclude.Popen(["sh", "-c", script], stdout=seclude.PIPE) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGUSR1)
            self.assertEqual((process.stdout.read(), process.wait()), (b"got\n", 5))
            # It has ended: nothing happens, to nobody.
            process.send_signal(signal.SIGKILL)
            process.kill_tree()
        for end, number in ((seclude.Popen.terminate, 15), (seclude.Popen.kill, 9)):
            with seclude.Popen(["sleep", "60"]) as process:
                end(process)
                self.assertEqual(process.wait(), -number)

    def test_sigstop_stops_the_command_until_it_is_continued(self):
        for container in ({}, {"init": False}):
            with seclude.Popen(["sleep", "0.3"], container=container) as process:
                process.send_signal(signal.SIGSTOP)
                with self.assertRaises(subprocess.TimeoutExpired):
                    process.wait(timeout=1)
                process.send_signal(signal.SIGCONT)
                self.assertEqual(process.wait(timeout=30), 0)
        with seclude.Popen(["sleep", "60"]) as process:
            process.send_signal(signal.SIGSTOP)
            process.terminate()
            # It waits until the command goes on, as with any process.
            process.send_signal(signal.SIGCONT)
            self.assertEqual(process.wait(timeout=30), -15)

    def test_what_the_program_ignores_the_command_ignores_as_with_subprocess(self):
        ignored = ["grep", "SigIgn", "/proc/self/status"]
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for restore in (True, False):
                theirs = subprocess.run(ignored, capture_output=True, text=True, restore_signals=restore).stdout
                for preset in ("sandbox", "bare"):
                    ours = seclude.run(ignored, preset=preset, capture_output=True, text=True, restore_signals=restore).stdout
                    self.assertEqual(ours, theirs, (preset, restore))
        finally:
            signal.signal(signal.SIGINT, before)
        # Contrast: a handler is Python's own. (Whoever started this may have ignored others.)
        mask = int(seclude.run(ignored, capture_output=True, text=True).stdout.split()[1], 16)
        self.assertEqual(mask >> signal.SIGINT - 1 & 1, 0)

    def test_an_unknown_signal_is_an_error(self):
        with seclude.Popen(["sleep", "60"]) as process:
            self.assertRaises(OSError, process.send_signal, 1000)
            self.assertRaises(OverflowError, process.send_signal, 1 << 40)
            process.kill()

    def test_a_handle_that_nobody_has_leaves_the_process_alone(self):
        script = f"import seclude; seclude.Popen('sleep 0.3; echo went on', shell=True); import time; time.sleep(1)"
        done = subprocess.run([PYTHON, "-W", "ignore", "-c", script], stdout=subprocess.PIPE)
        self.assertEqual(done.stdout, b"went on\n")

    def test_it_dies_with_its_parent(self):
        script = "import os, seclude; p = seclude.Popen(['sleep', '60']); print(p.pid, flush=True); os._exit(0)"
        done = subprocess.run([PYTHON, "-W", "ignore", "-c", script], stdout=subprocess.PIPE)
        self.assertTrue(eventually(lambda: not os.path.exists(f"/proc/{int(done.stdout)}/exe")))


class Container(unittest.TestCase):
    def test_without_that_it_goes_on_after_the_ordinary_end_of_its_parent(self):
        for preset in ("bare", "sandbox"):
            container = {"preset": preset, "die_with_parent": False}
            script = f"import seclude, os\nprint(seclude.Popen(['sleep', '60'], stdout=seclude.DEVNULL, container={container}).pid)"
            pid = int(subprocess.check_output([PYTHON, "-W", "ignore", "-c", script]))
            time.sleep(0.2)
            with open(f"/proc/{pid}/stat") as stat:
                self.assertIn(stat.read().rpartition(")")[2].split()[0], "SR")
            os.kill(pid, signal.SIGKILL)

    def test_kill_tree_ends_all_of_it_and_says_so(self):
        process = seclude.Popen("setsid sleep 60 & echo ready; sleep 60", shell=True, stdout=seclude.PIPE)
        with process:
            process.stdout.readline()
            process.kill_tree()
            # The end of the pipe: nobody has it any more.
            self.assertEqual(process.stdout.read(), b"")
            self.assertEqual(process.wait(), -9)
        self.assertEqual((process.report["cause"], process.report["tree"]["empty"]), ("killed", True))

    def test_whoever_kills_it_waits_for_nobody_who_reads_its_output(self):
        for script, code in (("echo said", 0), ("echo said; exec sleep 60", -9)):
            ours, theirs, _ = full_connection()
            with ours, theirs, seclude.Popen(["sh", "-c", script], stdout=theirs) as process:
                time.sleep(0.5)
                with self.assertRaises(subprocess.TimeoutExpired):
                    process.wait(timeout=0.2)
                started = time.monotonic()
                process.kill()
                self.assertEqual(process.wait(timeout=20), code)
                self.assertLess(time.monotonic() - started, 10)

    @needs_cgroup
    def test_stats_and_pause(self):
        ticking = "while :; do echo x; sleep 0.02; done"
        with seclude.Popen(ticking, shell=True, stdout=seclude.PIPE, pids=32, bufsize=0) as process:
            process.stdout.read(1)
            self.assertGreaterEqual(process.stats()["pids"], 1)
            process.pause()
            os.set_blocking(process.stdout.fileno(), False)
            while process.stdout.read(4096):
                pass
            time.sleep(0.2)
            self.assertIsNone(process.stdout.read(4096))
            process.resume()
            self.assertTrue(eventually(lambda: process.stdout.read(4096)))
            process.kill_tree()
        with self.assertRaises(ProcessLookupError):
            process.stats()

    def test_what_is_refused_is_told_while_it_runs(self):
        script = "unshare -U true 2> /dev/null; echo ready; read x"
        for container, told in ({}, ["unshare"]), ({"nested": True}, []):
            with seclude.Popen(script, shell=True, stdin=seclude.PIPE, stdout=seclude.PIPE, container=container) as process:
                process.stdout.readline()
                self.assertEqual([denial["call"] for denial in process.denials()], told)
                process.communicate(b"\n")
                self.assertEqual(process.denials(), process.report["denials"])

    def test_without_a_cgroup_there_are_no_counters(self):
        with seclude.Popen(["sleep", "60"], preset="bare") as process:
            self.assertRaises(ValueError, process.stats)
            process.kill()

    def test_a_terminal(self):
        container = {"terminal": {"rows": 30, "columns": 100}}
        with seclude.Popen("stty size; read x; echo got $x", shell=True, container=container) as process:
            said = b""
            process.terminal.write(b"typed\n")
            try:
                while True:
                    said += process.terminal.read(1024)
            except OSError:
                # EIO: the other end is closed.
                pass
            process.wait()
        self.assertIn(b"30 100\r\n", said)
        self.assertIn(b"got typed\r\n", said)
        self.assertTrue(process.terminal.closed)

    def test_how_it_was_made_is_known_while_it_runs(self):
        with seclude.Popen(["sleep", "60"]) as process:
            self.assertIn(process.made["clone"], ("vm", "copy", "legacy"))
            process.kill_tree()


class Threads(unittest.TestCase):
    def test_three_at_once(self):
        failed = []

        def work(number):
            try:
                for turn in range(8):
                    done = seclude.run(["sh", "-c", f"echo {number} {turn}"], capture_output=True, text=True)
                    self.assertEqual(done.stdout, f"{number} {turn}\n")
            except BaseException as error:
                failed.append(error)

        before = open_descriptors()
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual(open_descriptors(), before)

    def test_all_who_wait_see_the_end_and_others_run_meanwhile(self):
        process = seclude.Popen(["sleep", "0.5"])
        ends, turns = [], 0
        threads = [threading.Thread(target=lambda: ends.append(process.wait())) for _ in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            turns += 1
            time.sleep(0.005)
        self.assertEqual(ends, [0, 0, 0])
        self.assertGreater(turns, 10)


class Fork(unittest.TestCase):
    def test_a_forked_child_of_the_caller_ends_nothing(self):
        process = seclude.Popen(["sleep", "60"])
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                try:
                    process._process.poll()
                except ChildProcessError:
                    status = 0
                process._process.__class__
                process.returncode = 0
                del process._process
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        self.assertIsNone(process.poll())
        process.kill()
        self.assertEqual(process.wait(), -9)

    def test_a_forked_child_can_start_its_own(self):
        threading.Thread(target=seclude.run, args=(["true"],)).start()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = seclude.run(["true"]).returncode
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


class Interrupts(unittest.TestCase):
    def interrupted(self, script):
        """Runs it, and sends SIGINT when it says that it is ready."""
        process = subprocess.Popen([PYTHON, "-c", "import seclude, sys, time\n" + script], stdout=subprocess.PIPE, text=True)
        with process:
            self.assertEqual(process.stdout.readline(), "ready\n")
            time.sleep(0.2)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            said = process.stdout.read()
            process.wait()
        self.assertLess(time.monotonic() - started, 20)
        return said

    def test_run_and_wait_and_communicate_can_be_interrupted(self):
        for call in ("seclude.run(command)", "seclude.run(command, capture_output=True)", "seclude.run(command, timeout=60)"):
            script = "command = ['sleep', '60']\nprint('ready', flush=True)\n"
            script += f"try: {call}\nexcept KeyboardInterrupt: print('interrupted', flush=True)"
            self.assertEqual(self.interrupted(script), "interrupted\n", call)

    def test_a_handler_of_a_signal_runs_meanwhile_and_the_wait_goes_on(self):
        script = """import signal
process = seclude.Popen(['sleep', '60'])
def handle(*_): print('handled', flush=True); process.kill_tree()
signal.signal(signal.SIGINT, handle)
print('ready', flush=True)
print(process.wait())"""
        self.assertEqual(self.interrupted(script), "handled\n-9\n")


class Leaks(unittest.TestCase):
    def test_no_descriptor_and_no_process_is_left(self):
        def once():
            seclude.run(["cat"], input=b"x", capture_output=True)
            for options in ({"args": ["/no/such"]}, {"args": ["true"], "cwd": "/no/such"}):
                with self.assertRaises(OSError):
                    seclude.run(capture_output=True, input=b"x", **options)
            with self.assertRaises(subprocess.TimeoutExpired):
                seclude.run(["sleep", "60"], timeout=0.05, stdout=seclude.PIPE)
            with self.assertRaises(ValueError):
                seclude.run(["true"], memory="x", stdin=seclude.PIPE, stdout=seclude.PIPE)

        once()
        before = open_descriptors()
        for _ in range(5):
            once()
        self.assertEqual(open_descriptors(), before)


if __name__ == "__main__":
    unittest.main()
