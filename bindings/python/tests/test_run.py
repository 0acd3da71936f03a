"""`seclude.run`: inside and outside, and what subprocess.run promises."""

import math
import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import seclude
from kit import PYTHON, ROOT, needs_cgroup, out

#: It writes a byte and takes it back, over and over, so that whoever was told of one finds none; then it says nothing more.
THIEF = """import os, time
ours = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
for _ in range(20000):
    os.write(1, b"x")
    try: os.read(ours, 1)
    except BlockingIOError: pass
time.sleep(8)"""


class Inside(unittest.TestCase):
    """Each is tried outside as well: the test can tell the difference."""

    def test_the_sandbox_is_the_default_and_bare_is_none(self):
        for kind in ("pid", "mnt", "net", "user", "uts", "ipc"):
            ours = os.readlink(f"/proc/self/ns/{kind}")
            self.assertNotEqual(out(["readlink", f"/proc/self/ns/{kind}"]).strip(), ours, kind)
            self.assertEqual(out(["readlink", f"/proc/self/ns/{kind}"], preset="bare").strip(), ours, kind)

    def test_nothing_of_the_host_can_be_written(self):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
            os.chmod(place, 0o777)
            touched = ["touch", place + "/x"]
            self.assertNotEqual(seclude.run(touched, stderr=seclude.DEVNULL).returncode, 0)
            self.assertEqual(seclude.run(touched, preset="bare").returncode, 0)

    def test_other_processes_are_not_seen(self):
        self.assertNotIn(str(os.getpid()), out(["ls", "/proc"]).split())
        self.assertIn(str(os.getpid()), out(["ls", "/proc"], preset="bare").split())

    def test_mounts_of_the_keyword_come_after_those_of_the_container(self):
        with tempfile.TemporaryDirectory() as place:
            os.chmod(place, 0o755)
            with open(place + "/x", "w") as file:
                file.write("of the host")
            container = {"mounts": [{"type": "tmpfs", "target": "/mnt"}]}
            mounts = [{"type": "bind", "source": place, "target": "/mnt/y", "read_only": True}]
            self.assertEqual(out(["cat", "/mnt/y/x"], container=container, mounts=mounts), "of the host")

    def test_a_dataclass_is_the_same_as_a_dict(self):
        from seclude.types import Container, Mount

        content = "of nobody"
        container = Container(hostname="box", mounts=[Mount(type="file", target=b"/tmp/\xff", content=content)])
        self.assertEqual(out(["sh", "-c", "hostname; cat /tmp/*"], container=container), "box\nof nobody")

    def test_paths_may_be_any_bytes(self):
        with tempfile.TemporaryDirectory() as place:
            os.chmod(place, 0o755)
            strange = os.path.join(os.fsencode(place), b"\xff")
            os.mkdir(strange)
            mounts = [{"type": "bind", "source": strange, "target": b"/mnt"}]
            self.assertEqual(out(["ls", "-d", "/mnt"], mounts=mounts), "/mnt\n")
            # As os.fsdecode() has them.
            mounts[0]["source"] = os.fsdecode(strange)
            self.assertEqual(out(["ls", "-d", "/mnt"], mounts=mounts), "/mnt\n")

    def test_the_network_is_the_hosts_only_by_name(self):
        ours = os.readlink("/proc/self/ns/net")
        self.assertEqual(out(["readlink", "/proc/self/ns/net"], network="host").strip(), ours)
        self.assertNotEqual(out(["readlink", "/proc/self/ns/net"], network="none").strip(), ours)

    @needs_cgroup
    def test_limits_hold_and_the_report_says_which_was_hit(self):
        hungry = [PYTHON, "-c", "x = bytearray(200 << 20); print(len(x))"]
        done = seclude.run(hungry, memory="64M", container={"limits": {"memory_swap_max": 0}}, stdout=seclude.PIPE)
        self.assertEqual((done.returncode, done.stdout), (-9, b""))
        self.assertEqual(done.report["cause"], "out-of-memory")
        self.assertGreater(done.report["usage"]["memory_peak_bytes"], 10 << 20)
        self.assertEqual(out(hungry).strip(), str(200 << 20))

    def test_the_environment_and_the_directory_are_the_callers_unless_said(self):
        os.environ["SECLUDE_TRIED"] = "ours"
        self.addCleanup(os.environ.pop, "SECLUDE_TRIED")
        self.assertEqual(out(["printenv", "SECLUDE_TRIED"], preset="host"), "ours\n")
        self.assertEqual(out(["printenv", "SECLUDE_TRIED"], container={"inherit_env": ["SECLUDE_TRIED"]}), "ours\n")
        self.assertEqual(out(["sh", "-c", "echo $SECLUDE_TRIED $HOME"]), "/root\n")
        self.assertEqual(out(["/usr/bin/env"], env={b"A": b"\xe4", "B": "2"}, errors="surrogateescape"), "A=\udce4\nB=2\n")
        self.assertEqual(out(["pwd"], cwd="/usr"), "/usr\n")
        self.assertEqual(out(["printenv", "A", "B"], env={"A": "1", "B": "2"}, container={"env": {"B": "3"}}), "1\n3\n")
        with tempfile.TemporaryDirectory() as here:
            Path(here, "file").write_text("shown")
            self.assertEqual(out(["cat", "file"], cwd=here), "shown")
        self.assertEqual(out(["printenv", "C"], container={"env": {"C": "3"}}), "3\n")
        self.assertEqual(out(["printenv"], container={"env_remove": ["SECLUDE_TRIED"]}, env={"SECLUDE_TRIED": "1", "D": ""}), "D=\n")

    def test_a_relative_directory_is_the_callers_own(self):
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir("/usr/share")
        for preset in ("sandbox", "host", "bare"):
            for given, there in (("..", "/usr"), (b"../lib/.", "/usr/lib"), (".", "/usr/share"), (Path("../bin/"), "/usr/bin")):
                self.assertEqual(out(["pwd", "-P"], cwd=given, preset=preset), there + "\n", (given, preset))


class AsSubprocess(unittest.TestCase):
    def test_the_result_is_subprocesss_with_a_report(self):
        done = seclude.run(["sh", "-c", "echo out; echo err >&2; exit 3"], capture_output=True)
        self.assertIsInstance(done, subprocess.CompletedProcess)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (3, b"out\n", b"err\n"))
        self.assertEqual((done.report["cause"], done.report["code"]), ("exited", 3))
        self.assertTrue(done.report["tree"]["empty"])
        with self.assertRaises(subprocess.CalledProcessError) as caught:
            done.check_returncode()
        self.assertEqual(caught.exception.report["code"], 3)

    def test_check_raises_with_what_was_said(self):
        with self.assertRaises(seclude.CalledProcessError) as caught:
            seclude.run(["sh", "-c", "echo x; exit 9"], check=True, stdout=seclude.PIPE, text=True)
        self.assertEqual((caught.exception.returncode, caught.exception.stdout), (9, "x\n"))

    def test_a_signal_is_a_negative_returncode(self):
        done = seclude.run(["sh", "-c", "kill -TERM $$"])
        self.assertEqual((done.returncode, done.report["signal"]), (-signal.SIGTERM, signal.SIGTERM))

    def test_text_has_an_encoding_and_universal_newlines(self):
        for options in ({"text": True}, {"universal_newlines": True}, {"encoding": "utf-8"}):
            done = seclude.run(["printf", "a\\r\\nö"], stdout=seclude.PIPE, **options)
            self.assertEqual(done.stdout, "a\nö")
        done = seclude.run(["cat"], input="ö", encoding="latin-1", stdout=seclude.PIPE)
        self.assertEqual(done.stdout, "ö")
        self.assertEqual(seclude.run(["printf", "\\344"], stdout=seclude.PIPE, text=True, errors="replace").stdout, "\ufffd")

    def test_input_and_output_of_more_than_a_pipe_holds(self):
        text = b"x" * (1 << 20)
        self.assertEqual(seclude.run(["cat"], input=text, capture_output=True).stdout, text)

    def test_stderr_may_be_stdout_and_both_nothing(self):
        done = seclude.run(["sh", "-c", "echo 1; echo 2 >&2"], stdout=seclude.PIPE, stderr=seclude.STDOUT)
        self.assertEqual(done.stdout, b"1\n2\n")
        done = seclude.run(["sh", "-c", "echo 1; cat"], stdin=seclude.DEVNULL, stdout=seclude.DEVNULL)
        self.assertEqual((done.returncode, done.stdout), (0, None))

    def test_a_shell_and_another_name(self):
        self.assertEqual(out("echo $((1 + 1)); exit 0", shell=True), "2\n")
        self.assertEqual(out(["other", "-c", "echo $0"], executable="/bin/sh"), "other\n")

    def test_descriptors_above_2_are_closed_unless_they_are_passed(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        os.set_inheritable(write, True)
        for preset in ("sandbox", "bare"):
            self.assertEqual(out(["ls", "/proc/self/fd"], preset=preset, stdin=seclude.DEVNULL).split(), ["0", "1", "2", "3"])
            seclude.run(["sh", "-c", f"echo {preset} >&{write}"], preset=preset, pass_fds=[write], check=True)
            self.assertEqual(os.read(read, 100), preset.encode() + b"\n")
            # By the same number, and no other.
            names = out(["ls", "/proc/self/fd"], preset=preset, stdin=seclude.DEVNULL, pass_fds=[write]).split()
            self.assertEqual(set(names), {"0", "1", "2", "3", str(write)} | ({"4"} if write == 3 else set()))
        self.assertIn(str(write), out(["ls", "/proc/self/fd"], preset="bare", close_fds=False).split())
        os.close(write)

    @unittest.skipUnless(ROOT, "it changes ids")
    def test_ids_and_umask(self):
        self.assertEqual(out("id -u; id -g; umask", shell=True, preset="bare", user=65534, group=65533, umask=0o27), "65534\n65533\n0027\n")

    def test_a_session_of_its_own(self):
        sid = out([PYTHON, "-c", "import os; print(os.getsid(0) == os.getpid())"], preset="bare", start_new_session=True)
        self.assertEqual(sid, "True\n")


class Timeouts(unittest.TestCase):
    def test_the_whole_tree_ends(self):
        started = time.monotonic()
        with self.assertRaises(subprocess.TimeoutExpired) as caught:
            seclude.run("echo before; (trap '' TERM; sleep 60) & setsid sleep 60", shell=True, timeout=2, capture_output=True)
        self.assertLess(time.monotonic() - started, 20)
        self.assertEqual((caught.exception.timeout, caught.exception.output), (2, b"before\n"))
        report = caught.exception.report
        self.assertEqual((report["cause"], report["tree"]["empty"]), ("deadline", True))

    def test_a_command_that_ends_in_time_is_not_touched(self):
        self.assertEqual(seclude.run(["true"], timeout=30).returncode, 0)

    def test_no_time_at_all(self):
        with self.assertRaises(subprocess.TimeoutExpired):
            seclude.run(["sleep", "60"], timeout=0)

    def test_the_containers_own_deadline_is_no_exception(self):
        for options in ({}, {"capture_output": True}):
            done = seclude.run(["sleep", "60"], container={"deadline": "1500ms"}, **options)
            self.assertEqual((done.returncode, done.report["cause"]), (-9, "deadline"))

    def test_the_stricter_of_a_timeout_and_a_deadline_holds(self):
        for options in ({}, {"capture_output": True}):
            started = time.monotonic()
            done = seclude.run(["sleep", "60"], container={"deadline": "1500ms"}, timeout=60, **options)
            self.assertEqual((done.returncode, done.report["cause"]), (-9, "deadline"))
            with self.assertRaises(subprocess.TimeoutExpired):
                seclude.run(["sleep", "60"], container={"deadline": "60s"}, timeout=1, **options)
            self.assertLess(time.monotonic() - started, 30)
        with self.assertRaises(seclude.SecludeError) as caught:
            seclude.run(["true"], container={"deadline": 0.0001}, timeout=60)
        self.assertEqual((caught.exception.code, caught.exception.field), ("deadline", "container.deadline"))

    def test_a_time_that_no_clock_reaches_is_none(self):
        for options in ({"timeout": math.inf}, {"container": {"deadline": "600h"}}, {"container": {"deadline": "600h"}, "timeout": math.inf}):
            self.assertEqual(seclude.run("sleep 0.1; cat", shell=True, input=b"x", capture_output=True, **options).stdout, b"x")

    def test_the_output_of_a_timeout_is_bytes_or_none(self):
        for script, said in (("echo before; exec sleep 60", b"before\n"), ("exec sleep 60", None)) * 5:
            with self.assertRaises(subprocess.TimeoutExpired) as caught:
                seclude.run(["sh", "-c", script], timeout=0.5, stdout=seclude.PIPE, text=True)
            self.assertEqual((caught.exception.output, caught.exception.stderr), (said, None))

    def test_a_command_that_takes_back_what_it_has_written_ends_in_time(self):
        for _ in range(5):
            started = time.monotonic()
            with self.assertRaises(subprocess.TimeoutExpired):
                seclude.run([PYTHON, "-c", THIEF], preset="bare", timeout=1, stdout=seclude.PIPE)
            with seclude.Popen([PYTHON, "-c", THIEF], preset="bare", stdout=seclude.PIPE) as process:
                with self.assertRaises(subprocess.TimeoutExpired):
                    process.communicate(timeout=1)
                process.kill()
            done = seclude.run([PYTHON, "-c", THIEF], container={"preset": "bare", "deadline": 1}, stdout=seclude.PIPE)
            self.assertEqual(done.report["cause"], "deadline")
            self.assertLess(time.monotonic() - started, 8)

    def test_a_command_that_fills_its_own_stdin_ends_in_time(self):
        script = """import os, time
ours = os.open("/proc/self/fd/0", os.O_WRONLY | os.O_NONBLOCK)
end = time.monotonic() + 1
while time.monotonic() < end:
    os.read(0, 4096)
    try: os.write(ours, bytes(4096))
    except BlockingIOError: pass
time.sleep(8)"""
        for _ in range(3):
            started = time.monotonic()
            with self.assertRaises(subprocess.TimeoutExpired):
                seclude.run([PYTHON, "-c", script], preset="bare", timeout=2, input=bytes(1 << 28))
            self.assertLess(time.monotonic() - started, 7)

    def test_whoever_else_has_its_pipes_is_not_waited_for_past_its_deadline(self):
        for script in ("sleep 60 & echo $!", "sleep 60 & echo $!; wait"):
            done = seclude.run(script, shell=True, container={"preset": "bare", "deadline": 1}, stdout=seclude.PIPE)
            os.kill(int(done.stdout), signal.SIGKILL)

    def test_a_plain_process_that_leaves_somebody_with_its_pipes(self):
        with self.assertRaises(subprocess.TimeoutExpired):
            seclude.run("sleep 2 & sleep 3", shell=True, preset="bare", timeout=0.3, capture_output=True)
        with self.assertRaises(subprocess.TimeoutExpired):
            seclude.run("sleep 2 & true", shell=True, preset="bare", timeout=0.3, capture_output=True)


if __name__ == "__main__":
    unittest.main()
