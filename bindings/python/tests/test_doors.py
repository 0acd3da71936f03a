"""What every door does and refuses alike: the cases of tests/doors, whose README says what they say."""

import json
import pathlib
import subprocess
import unittest

import seclude
from kit import ROOT

DOORS = pathlib.Path(__file__).resolve().parents[3] / "tests/doors"
CASES = [case for path in sorted(DOORS.glob("*.json")) for case in json.loads(path.read_text())]


def skipped(case):
    needs = case.get("needs", [])
    # A document of its own is for doors that take text; a string is a command to subprocess.
    is_list = isinstance(case.get("request", {}).get("command"), list)
    return not is_list or ("root" in needs and not ROOT) or ("user" in needs and ROOT)


def word(value):
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def run(case):
    request = dict(case["request"])
    command = request.pop("command")
    args = [word(value) for value in command]
    return seclude.run(args, container=request, input=case.get("stdin", "").encode(), stdout=subprocess.PIPE)


class Doors(unittest.TestCase):
    def test_it_does_and_refuses_what_every_door_does_and_refuses(self):
        ran = 0
        for case in CASES:
            if skipped(case):
                continue
            with self.subTest(case["name"]):
                ran += 1
                try:
                    done = run(case)
                except (TypeError, ValueError, seclude.SecludeError) as error:
                    self.refused(case, error)
                else:
                    self.ran(case, done)
        self.assertGreater(ran, 50)

    def ran(self, case, done):
        self.assertIn("expect", case, f"it ran: {done.stdout}")
        expected = dict(case["expect"])
        if not expected.keys() & {"code", "signal", "cause"}:
            expected["code"] = 0
        found = {**done.report, "stdout": done.stdout.decode()}
        self.assertEqual({key: found[key] for key in expected}, expected)

    def refused(self, case, error):
        step = getattr(error, "step", None)
        if step in ("cgroup", "landlock") and step in case.get("needs", []):
            self.skipTest(str(error))
        self.assertIn("expect_error", case, str(error))
        expected = case["expect_error"]
        self.assertIn(expected.get("contains", ""), str(error))
        if "kind" in expected:
            self.assertIsInstance(error, ValueError if expected["kind"] in ("range", "syntax") else TypeError)
        if isinstance(error, seclude.SecludeError):
            self.assertEqual(error.code, expected.get("code", "invalid"))
            self.assertEqual(step, expected.get("step", step))
        remedies = getattr(error, "remedies", [])
        if "remedy" in expected:
            # With a value that the case does not name.
            remedy = {key: f"container.{value}" if key in ("set", "leave") else value for key, value in expected["remedy"].items()}
            found = [{key: value for key, value in found.items() if key in remedy} for found in remedies]
            self.assertIn(remedy, found)
        else:
            self.assertEqual(remedies, [])
        field = expected.get("field")
        if field == "command" and isinstance(error, seclude.SecludeError):
            # It was looked for and found: no fault of the value.
            self.assertEqual(error.field, "args")
        elif field is not None and isinstance(error, seclude.SecludeError):
            self.assertEqual(error.field, f"container.{field}")
        elif field is not None and field.startswith("command"):
            self.assertRegex(str(error), r"^(args|expected str)")
        elif field is not None:
            self.assertRegex(str(error), f"^container.{field.replace('[', '.').replace(']', '.')}(:| is )")
