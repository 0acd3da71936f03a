"""What keywords, streams and a container mean together."""

import asyncio
import os
import subprocess
import sys
import unittest

import seclude
from kit import PYTHON, out

INTERFACES = ["sh", "-c", "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"]


class Keywords(unittest.TestCase):
    def names(self, container, **keywords):
        actions = seclude.explain(["true"], container=container, **keywords)
        clone = next(action["action"] for action in actions if action["step"] == "clone")
        return {action["step"] for action in actions} | set(clone.replace(",", " ").split())

    def test_a_network_of_the_keyword_is_in_the_stead_of_the_containers(self):
        connected = [{"network": {"type": "names", "allow": ["example.org"]}}, {"network": {"type": "veth"}}]
        for container in [*connected, {"namespaces": {"net": "inherit"}}, seclude.types.Container(network={"type": "veth"})]:
            with self.subTest(container):
                self.assertEqual(out(INTERFACES, container=container, network="none").split(), ["lo"])
                shared = self.names(container, network="host")
                self.assertFalse(shared & {"net", "network", "names"}, shared)
                kept = dict(container) if isinstance(container, dict) else container
                self.assertEqual(kept, container)
        named = self.names({"namespaces": {"net": "inherit", "ipc": "inherit"}}, network={"type": "names", "allow": ["example.org"]})
        self.assertIn("net", named)
        self.assertNotIn("ipc", named)
        for kind in ("veth", {"type": "names", "allow": ["example.org"]}):
            self.assertNotIn("inherit", str(seclude.explain(["true"], container={"namespaces": {"net": "inherit"}}, network=kind)))

    def test_a_keyword_leaves_what_it_does_not_name(self):
        container = {"limits": {"pids_max": 50}, "mounts": [{"type": "tmpfs", "target": "/mnt"}]}
        text = str(seclude.explain(["true"], container=container, memory="64M", mounts=[{"type": "tmpfs", "target": "/srv"}]))
        for part in ("pids.max", "memory.max", "tmpfs on /mnt", "tmpfs on /srv"):
            self.assertTrue(part in text, part)

    def test_the_name_of_another_command_is_not_this_ones(self):
        shows = ["sh", "-c", "echo $0"]
        cat = ["cat", "/proc/self/cmdline"]
        self.assertEqual(out(cat, container={"arg0": "mine"}), "mine\0/proc/self/cmdline\0")
        self.assertEqual(out(cat, container={"command": ["other"], "arg0": "its"}), "cat\0/proc/self/cmdline\0")
        # subprocess's own way of saying it wins.
        said = out(["name", "/proc/self/cmdline"], executable="cat", container={"arg0": "its"})
        self.assertEqual(said, "name\0/proc/self/cmdline\0")
        self.assertEqual(out(shows, container={"command": ["other"]}), "sh\n")


class Environment(unittest.TestCase):
    def setUp(self):
        os.environ.update(SECLUDE_KEPT="kept", SECLUDE_OTHER="other")

    def tearDown(self):
        del os.environ["SECLUDE_KEPT"], os.environ["SECLUDE_OTHER"]

    def of(self, container, own=None):
        env = None if own is None else {"PATH": os.environ["PATH"], **own}
        lines = out(["env"], container=container, env=env).splitlines()
        found = dict(line.split("=", 1) for line in lines if "=" in line)
        return [found.get(name, "-") for name in ("A", "SECLUDE_KEPT", "SECLUDE_OTHER")]

    def test_what_is_handed_on_by_name_or_as_a_whole_is_so_beside_env(self):
        for preset in ("sandbox", "bare"):
            for container, own, expected in (
                ({}, {"A": "a"}, "a - -"),
                ({"clear_env": True}, {"A": "a"}, "a - -"),
                ({"clear_env": True, "inherit_env": ["SECLUDE_KEPT"]}, None, "- kept -"),
                ({"inherit_env": ["SECLUDE_KEPT"]}, {"A": "a"}, "a kept -"),
                ({"clear_env": True, "inherit_env": ["SECLUDE_KEPT"]}, {"A": "a"}, "a kept -"),
                ({"env_all": True}, {"A": "a"}, "a kept other"),
                ({"env_all": False}, {"A": "a"}, "a - -"),
                ({"env_all": True, "clear_env": True}, {"A": "a"}, "a - -"),
                ({"env_all": True}, {"A": "a", "SECLUDE_KEPT": "mine"}, "a mine other"),
                ({"env_all": True, "env_remove": ["A", "SECLUDE_KEPT"]}, {"A": "a"}, "- - other"),
                ({"env_remove": ["A"], "env": {"A": "set"}}, None, "set - -"),
            ):
                with self.subTest(preset=preset, container=container, env=own):
                    if preset == "bare" and own is None and not container.get("clear_env"):
                        container = {**container, "clear_env": True}
                        container["inherit_env"] = ["PATH"]
                    self.assertEqual(self.of({"preset": preset, **container}, own), expected.split())

    def test_a_name_that_is_no_text_is_refused_and_none_other_is_set(self):
        for key in ("bad\udcff", "\ud800"):
            with self.assertRaises(ValueError) as caught:
                seclude.run(["true"], container={"env": {key: "x"}})
            self.assertRegex(str(caught.exception), r"^container\.env: the key '.*' is no UTF-8")
        # Of the environment itself any bytes are a name.
        said = seclude.run(["env"], env={b"B\xff": b"\xfe", "PATH": os.environ["PATH"]}, capture_output=True).stdout
        self.assertIn(b"B\xff=\xfe\n", said)


class Streams(unittest.TestCase):
    TERMINAL = {"terminal": {"rows": 24, "columns": 80}}
    MUCH = ["sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; echo end >/dev/tty"]

    def test_what_a_terminal_says_is_read_where_nothing_else_is_stdout(self):
        for preset in ("sandbox", "bare"):
            container = {"preset": preset, **self.TERMINAL}
            done = seclude.run(self.MUCH, container=container, timeout=30)
            self.assertTrue(done.stdout.endswith(b"0123456789\r\nend\r\n"), done.stdout[-40:])
            self.assertEqual(len(done.stdout), 3000 * 42 + 5)
            done = seclude.run(self.MUCH, container=container, timeout=30, text=True)
            self.assertEqual(len(done.stdout), 3000 * 41 + 4)
            with seclude.Popen(self.MUCH, container=container) as process:
                self.assertEqual(len(process.communicate()[0]), 3000 * 42 + 5)
            self.assertTrue(process.terminal.closed)
            done = seclude.run(["sh", "-c", "echo out; echo err >&2"], container=container, stdout=subprocess.PIPE, text=True)
            self.assertEqual((done.stdout, done.stderr), ("out\n", None))
            with self.assertRaises(seclude.TimeoutExpired) as caught:
                seclude.run(["sh", "-c", "echo early; sleep 60"], container=container, timeout=0.5)
            self.assertEqual(caught.exception.stdout, b"early\r\n")

    def test_asyncio_reads_it_as_well(self):
        async def main():
            process = await seclude.create_subprocess_exec(*self.MUCH, container=self.TERMINAL)
            stdout, stderr = await asyncio.wait_for(process.communicate(), 30)
            return len(stdout), stderr, process.returncode

        self.assertEqual(asyncio.run(main()), (3000 * 42 + 5, None, 0))

    def test_streams_are_closed_also_where_they_are_no_text(self):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        for script in (r"printf '\377'", r"printf '\377' >&2"):
            with seclude.Popen(script, shell=True, text=True, encoding="utf-8", **pipes) as process:
                self.assertRaises(UnicodeDecodeError, process.communicate, timeout=30)
                self.assertTrue(process.stdout.closed and process.stderr.closed, script)

    def test_a_remedy_is_spelled_alike_wherever_it_is(self):
        refused = [PYTHON, "-c", "import ctypes; ctypes.CDLL(None).syscall(321, 0, 0, 0); input()"]
        if os.uname().machine != "x86_64":
            self.skipTest("the number of a system call is of x86-64")
        with seclude.Popen(refused, stdin=subprocess.PIPE) as process:
            while not process.denials():
                self.assertIsNone(process.poll())
            live = process.denials()
            process.communicate(b"\n")
        self.assertEqual(live, process.report["denials"])
        self.assertTrue(live[0]["remedies"][0]["set"].startswith("container."), live)


if __name__ == "__main__":
    sys.exit(unittest.main())
