"""What cannot be meant is told with its place, and nothing is started."""

import collections
import ipaddress
import json
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import types
import unittest

import seclude
from kit import descendants, open_descriptors, out

CYCLE = {}
CYCLE["limits"] = CYCLE
WIDE = [0] * 64
for _ in range(12):
    WIDE = [WIDE] * 64


class Raises(dict):
    """A dict is read as what it is, whatever its class says."""

    def items(self):
        raise AssertionError("nobody asks")


class Path:
    def __fspath__(self):
        raise ZeroDivisionError("of its own")


# keywords, exception, and the whole line.
TABLE = [
    ({"container": {"memroy": 1}}, TypeError, "container.memroy: there is no such key"),
    (
        {"container": {"limits": {"memroy_max": 1}}},
        TypeError,
        "container.limits.memroy_max: there is no such key; the nearest is memory_max",
    ),
    ({"container": {"mounts": [{"type": "tmpfs", "targte": "/"}]}}, TypeError, "container.mounts[0].targte: there is no such key; the nearest is target"),
    ({"container": {"mounts": [{"type": "tmpfs"}]}}, TypeError, "container.mounts[0].target is missing"),
    ({"container": {"mounts": {}}}, TypeError, "container.mounts is an object; it can be a list"),
    ({"container": {"mounts": [{"type": "bnid", "target": "/mnt"}]}}, ValueError, 'container.mounts[0].type: "bnid"; it can be'),
    ({"container": {"limits": {"pids_max": -1}}}, ValueError, "container.limits.pids_max: -1; it can be a whole number, 0 or more"),
    ({"container": {"limits": {"pids_max": 1 << 200}}}, ValueError, "container.limits.pids_max: the number is out of range"),
    ({"container": {"limits": {"pids_max": "many"}}}, TypeError, 'container.limits.pids_max is "many"; it can be a whole number, 0 or more'),
    ({"container": {"limits": {"pids_max": 1.5}}}, TypeError, "container.limits.pids_max is 1.5; it can be"),
    ({"container": {"limits": {"pids_max": True}}}, TypeError, "container.limits.pids_max is true; it can be"),
    ({"container": {"limits": {"cpu_max": float("nan")}}}, ValueError, "container.limits.cpu_max: it can be a number of CPUs"),
    ({"container": {"deadline": "10 parsecs"}}, ValueError, 'container.deadline: "10 parsecs" is not a duration'),
    ({"container": {"env": {"A=B": "1"}}}, ValueError, 'container.env["A=B"]: it cannot name an environment variable'),
    ({"container": {"umask": "999"}}, ValueError, 'container.umask: "999" is not an octal mode'),
    ({"container": {"version": 2}}, ValueError, "container.version: 2 is not known to this build"),
    ({"container": {1: 2}}, TypeError, "container is an object with a key of the type int; it can be one with strings as keys"),
    ({"container": {"hostname": object()}}, TypeError, "container.hostname is of the type object; it can be"),
    ({"container": {"hostname": {1, 2}}}, TypeError, "container.hostname is of the type set; it can be"),
    ({"container": {"hostname": "a\0b"}}, ValueError, "container.hostname: a NUL byte is in it"),
    ({"container": 5}, TypeError, "container is 5; it can be a dict, a seclude.types.Container or a path"),
    ({"container": []}, TypeError, "container is a list; it can be a dict"),
    ({"container": CYCLE}, ValueError, "container.limits.limits"),
    ({"container": {"mounts": WIDE}}, ValueError, "it has more than 262144 values"),
    ({"container": {"rights": {"capabilities": ["NET_ADMINN"]}}}, ValueError, "container.rights.capabilities"),
    ({"memory": "5x"}, ValueError, 'memory: "5x" is not a size'),
    ({"memory": []}, TypeError, "memory is a list; it can be a number of bytes"),
    ({"memory": -1}, ValueError, "memory: -1; it can be"),
    ({"pids": 0}, ValueError, "pids: "),
    ({"cpus": "2"}, TypeError, 'cpus is "2"; it can be a number'),
    ({"preset": "snadbox"}, ValueError, 'preset: "snadbox"; it can be "sandbox", "host", "bare"'),
    ({"network": "vteh"}, ValueError, 'network: "vteh"; it can be "none", "host", "veth", "pasta" or a dict'),
    ({"network": {"type": "veth", "mtuu": 1}}, TypeError, "network.mtuu: there is no such key; the nearest is mtu"),
    ({"mounts": [{"type": "bind", "target": "/mnt"}]}, TypeError, "mounts[0].source: a bind needs it"),
    (
        {"container": {"mounts": [{"type": "tmpfs", "target": "/mnt"}]}, "mounts": [{"type": "tmpfs", "target": 5}]},
        TypeError,
        "mounts[0].target is 5; it can be",
    ),
    ({"mounts": "/mnt"}, TypeError, 'mounts is "/mnt"; it can be a list'),
    ({"args": ["true", 5]}, TypeError, "expected str, bytes or os.PathLike object, not int"),
    ({"args": ["true", "a\0b"]}, ValueError, "args[1]: a NUL byte is in it"),
    ({"env": {"A": "b\0"}}, ValueError, "embedded null byte"),
    ({"pass_fds": [-1]}, ValueError, "bad value(s) in fds_to_keep"),
    ({"preexec_fn": print}, ValueError, "preexec_fn is not supported"),
    ({"container": {"root": {"path": Path()}}}, ZeroDivisionError, "of its own"),
]


class BadInput(unittest.TestCase):
    def test_the_table(self):
        before = open_descriptors()
        for options, kind, line in TABLE:
            # Not by what is given, which may have no end.
            with self.subTest(line):
                with self.assertRaises(kind) as caught:
                    seclude.run(**{"args": ["true"], **options})
                self.assertIn(line, str(caught.exception))
                if line.startswith("container"):
                    # The key is there as data as well, and may lead further than the line.
                    field = caught.exception.field
                    self.assertTrue(field and (field.startswith(line) or line.startswith(field)), field)
                self.assertNotIn("\n", str(caught.exception))
        self.assertEqual(open_descriptors(), before)
        self.assertEqual(descendants(), [])

    def test_what_only_the_whole_can_tell_is_a_value_error_with_its_field(self):
        with self.assertRaises(ValueError) as caught:
            seclude.run(["true"], preset="bare", container={"hostname": "x"})
        self.assertIsInstance(caught.exception, seclude.SecludeError)
        self.assertEqual((caught.exception.code, caught.exception.field), ("invalid", "container.hostname"))

    def test_what_is_no_dict_but_like_one(self):
        for container in (
            types.MappingProxyType({"hostname": "box"}),
            collections.OrderedDict(hostname="box"),
            collections.ChainMap({"hostname": "box"}),
            Raises(hostname="box"),
        ):
            self.assertEqual(out(["hostname"], container=container), "box\n")
        hosts = [{"name": "db", "address": ipaddress.ip_address("10.1.2.3")}]
        self.assertIn("10.1.2.3", out(["cat", "/etc/hosts"], container={"hosts": hosts}))


class Errors(unittest.TestCase):
    def test_a_command_that_is_not_there(self):
        for preset in ("sandbox", "host", "bare"):
            with self.assertRaises(FileNotFoundError) as caught:
                seclude.run(["/no/such/command"], preset=preset)
            error = caught.exception
            self.assertIsInstance(error, seclude.SecludeError)
            self.assertEqual((error.errno, error.filename, error.code), (2, "/no/such/command", "not-found"))
            self.assertEqual((error.step, error.side, error.left_behind), ("exec", "child", []))
            self.assertTrue(error.hint)
            self.assertNotIn("\n", str(error))

    def test_a_directory_that_is_not_there(self):
        with self.assertRaises(FileNotFoundError) as caught:
            seclude.run(["true"], cwd="/no/such/directory")
        self.assertEqual(caught.exception.filename, "/no/such/directory")
        for preset in ("sandbox", "host", "bare"):
            for missing in ("", b"", "no/such/directory"):
                with self.assertRaises(FileNotFoundError, msg=(preset, missing)):
                    seclude.run(["true"], cwd=missing, preset=preset)

    def test_a_directory_is_said_once_and_whose_it_is(self):
        with self.assertRaisesRegex(ValueError, "container.workdir: cwd says it already"):
            seclude.run(["true"], cwd="/usr", container={"workdir": "/etc"})
        with self.assertRaisesRegex(ValueError, "cwd is .* inside container.root"):
            seclude.run(["true"], cwd="usr", container={"root": {"path": "/usr"}})

    def test_a_source_that_is_not_there(self):
        with self.assertRaises(seclude.SecludeError) as caught:
            seclude.run(["true"], mounts=[{"type": "bind", "source": "/no/such", "target": "/mnt"}])
        self.assertEqual((caught.exception.errno, caught.exception.filename), (2, "/no/such"))
        self.assertEqual(caught.exception.field, "mounts[0].source")

    def test_they_can_be_pickled(self):
        for options in ({"args": ["/no/such"]}, {"args": ["true"], "preset": "bare", "container": {"hostname": "x"}}):
            with self.assertRaises(seclude.SecludeError) as caught:
                seclude.run(**options)
            again = pickle.loads(pickle.dumps(caught.exception))
            self.assertEqual((type(again), str(again), again.step), (type(caught.exception), str(caught.exception), caught.exception.step))


class Files(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        os.chmod(place.name, 0o755)
        self.place = pathlib.Path(place.name)

    def file(self, name, content):
        path = self.place / name
        path.write_bytes(content)
        return path

    def test_toml_and_json_say_the_same(self):
        toml = self.file("box.toml", b'hostname = "box"\n[[mounts]]\ntype = "bind"\nsource = "."\ntarget = "/mnt"\n')
        jsons = self.file("box.json", json.dumps({"hostname": "box", "mounts": [{"type": "bind", "source": ".", "target": "/mnt"}]}).encode())
        self.assertEqual(seclude.load(toml), seclude.load(str(jsons)))
        self.assertEqual(seclude.load(toml), seclude.load(os.fsencode(jsons)))
        # Relative to where it lies.
        for container in (toml, str(jsons), os.fsencode(toml), seclude.load(toml)):
            self.assertEqual(out("hostname; ls /mnt", shell=True, container=container), "box\nbox.json\nbox.toml\n")

    def test_every_path_of_the_host_begins_where_the_file_lies(self):
        # All that there are; a new one belongs here.
        overlay = {"lowers": ["lower"], "upper": "upper", "work": "work"}
        request = {
            "ro": ["ro", "/etc"],
            "rw": ["rw"],
            "root": {"path": "root"},
            "seccomp": {"file": "profile.json"},
            "mounts": [{"type": "bind", "source": "source", "target": "/a"}, {"type": "overlay", "target": "/b", **overlay}],
        }
        at = {name: str(self.place / name) for name in ("ro", "rw", "root", "profile.json", "source", "lower", "upper", "work")}
        file = self.file("box.json", json.dumps(request).encode())
        inside = os.getcwd()
        os.chdir(self.place.parent)
        try:
            for path in (file, file.relative_to(self.place.parent)):
                loaded = seclude.load(path)
                self.assertEqual((loaded["ro"], loaded["rw"], loaded["root"]["path"]), ([at["ro"], "/etc"], [at["rw"]], at["root"]))
                self.assertEqual((loaded["seccomp"]["file"], loaded["mounts"][0]["source"]), (at["profile.json"], at["source"]))
                layers = loaded["mounts"][1]
                self.assertEqual((layers["lowers"], layers["upper"], layers["work"]), ([at["lower"]], at["upper"], at["work"]))
        finally:
            os.chdir(inside)
        layers = seclude.load(self.file("root.json", json.dumps({"preset": "bare", "root": overlay}).encode()))["root"]
        self.assertEqual((layers["lowers"], layers["upper"], layers["work"]), ([at["lower"]], at["upper"], at["work"]))
        # Contrast: a dict lies nowhere.
        with self.assertRaises(FileNotFoundError) as caught:
            seclude.run(["true"], container={"rw": ["no-such"]})
        self.assertNotIn(str(self.place), caught.exception.filename)

    def test_what_a_file_shows_is_shown_also_from_elsewhere(self):
        for name in ("build", "elsewhere/build"):
            (self.place / name).mkdir(parents=True)
            os.chmod(self.place / name, 0o777)
        file = self.file("box.toml", b'rw = ["build"]\n')
        inside = os.getcwd()
        os.chdir(self.place / "elsewhere")
        try:
            out(["touch", str(self.place / "build/x")], container=file)
        finally:
            os.chdir(inside)
        self.assertEqual((os.listdir(self.place / "build"), os.listdir(self.place / "elsewhere/build")), (["x"], []))

    def test_what_is_no_such_file_is_told_at_once(self):
        os.mkfifo(self.place / "fifo.toml")
        (self.place / "directory.toml").mkdir()
        with open(self.place / "large.json", "wb") as large:
            large.truncate(100 << 20)
        self.file("bytes.toml", b"\xff")
        self.file("broken.json", b"{")
        self.file("broken.toml", b"a = \n")
        self.file("twice.json", b'{"limits": 1, "limits": 2}')
        self.file("wrong.toml", b"[limits]\nmemroy_max = 1\n")
        self.file("deep.json", b"[" * 100000)
        self.file("what.ini", b"")
        for name, kind, line in (
            ("fifo.toml", ValueError, "is a FIFO; it can be a regular file"),
            ("directory.toml", IsADirectoryError, "Is a directory"),
            ("none.toml", FileNotFoundError, "No such file or directory"),
            ("large.json", ValueError, "has more than 4194304 bytes"),
            ("bytes.toml", ValueError, "it is no UTF-8, from byte 0 on"),
            ("broken.json", ValueError, "it is no JSON"),
            ("broken.toml", ValueError, "it is no TOML"),
            ("twice.json", ValueError, "is given twice"),
            ("wrong.toml", TypeError, "limits.memroy_max: there is no such key; the nearest is memory_max"),
            ("deep.json", ValueError, "it is no JSON"),
            ("what.ini", ValueError, "its name has to end in .toml or .json"),
        ):
            with self.subTest(name):
                with self.assertRaises(kind) as caught:
                    seclude.run(["true"], container=self.place / name)
                self.assertIn(line, str(caught.exception))
                self.assertIn(name, str(caught.exception))
                self.assertNotIn("\n", str(caught.exception))
        for path in ("/dev/zero", "/proc/self/mem"):
            with self.assertRaises(ValueError):
                seclude.load(path)


class Looking(unittest.TestCase):
    def test_explain_says_what_would_be_done(self):
        plan = seclude.explain(["true"], container={"hostname": "box"})
        self.assertTrue(any(action["moment"] == "clone" for action in plan))
        self.assertIn("box", str(plan))
        with self.assertRaises(ValueError):
            seclude.explain(["true"], preset="bare", container={"hostname": "box"})

    def test_doctor_has_tried_it(self):
        found = seclude.doctor()
        self.assertIs(found["sandbox_works"], True)
        self.assertTrue(found["findings"] and found["summary"])

    def test_the_types_are_those_of_the_schema(self):
        package = pathlib.Path(__file__).resolve().parent.parent
        subprocess.run([sys.executable, package / "generate_types.py", "--check"], check=True)


if __name__ == "__main__":
    unittest.main()
