// Runs a command in the sandbox of seclude and prints what it says, over cgo.
//
// PKG_CONFIG_PATH has to lead to seclude.pc: cargo xtask c --prefix DIR puts it into DIR/lib/pkgconfig.
package main

// #cgo pkg-config: seclude
// #include <stdlib.h>
// #include <seclude.h>
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unsafe"
)

// Failure is why something was not done.
type Failure struct {
	Code    string   `json:"code"`
	Step    string   `json:"step"`
	Field   *string  `json:"field"`
	Errno   *int     `json:"errno"`
	Message string   `json:"message"`
	Left    []string `json:"left_behind"`
}

func (failure *Failure) Error() string { return failure.Message }

func failed(from *C.seclude_error) error {
	defer C.seclude_error_free(from)
	failure := &Failure{}
	if err := json.Unmarshal([]byte(C.GoString(C.seclude_error_json(from))), failure); err != nil {
		return err
	}
	return failure
}

// Report is how it ended; docs/report.schema.json has the rest.
type Report struct {
	Cause string `json:"cause"`
	Code  *int   `json:"code"`
}

// Run runs what the request describes, and answers what it wrote to stdout.
func Run(request map[string]any) (string, *Report, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return "", nil, err
	}
	words := C.CString(string(text))
	defer C.free(unsafe.Pointer(words))
	stdio := [3]C.int{C.SECLUDE_NULL, C.SECLUDE_PIPE, C.SECLUDE_INHERIT}
	var child *C.seclude_child
	var wrong *C.seclude_error
	if C.seclude_spawn(words, C.size_t(len(text)), &stdio[0], nil, 0, &child, &wrong) < 0 {
		return "", nil, failed(wrong)
	}
	defer C.seclude_child_free(child)

	stdout := os.NewFile(uintptr(C.seclude_take_stdout(child)), "stdout")
	defer stdout.Close()
	output, err := io.ReadAll(stdout)
	if err != nil {
		return "", nil, err
	}
	var said *C.char
	if C.seclude_wait(child, nil, &said, &wrong) < 0 {
		return "", nil, failed(wrong)
	}
	defer C.seclude_string_free(said)
	report := &Report{}
	return string(output), report, json.Unmarshal([]byte(C.GoString(said)), report)
}

func check(holds bool, what ...any) {
	if !holds {
		fmt.Fprintln(os.Stderr, what...)
		os.Exit(1)
	}
}

func main() {
	check(C.seclude_abi_version() == C.SECLUDE_ABI_VERSION, "this library is another than the header's")

	output, report, err := Run(map[string]any{
		"command":  []string{"sh", "-c", "uname -n; id -u; ls /sys/class/net"},
		"hostname": "gopher",
	})
	check(err == nil, err)
	fmt.Print(output)
	check(output == "gopher\n0\nlo\n", "something else was expected inside")
	check(report.Cause == "exited" && report.Code != nil && *report.Code == 0, report)

	// Goroutines are moved between threads while they wait.
	var all sync.WaitGroup
	for number := 0; number < 8; number++ {
		all.Add(1)
		go func(number int) {
			defer all.Done()
			output, _, err := Run(map[string]any{"command": []string{"echo", fmt.Sprint(number)}})
			check(err == nil, err)
			check(output == fmt.Sprintln(number), output)
		}(number)
	}
	all.Wait()

	var failure *Failure
	_, _, err = Run(map[string]any{"command": []string{"true"}, "limits": map[string]any{"memroy_max": "1G"}})
	check(errors.As(err, &failure) && failure.Field != nil && *failure.Field == "limits.memroy_max", err)
	fmt.Println("refused:", failure)
	_, _, err = Run(map[string]any{"command": []string{"no-such-command"}})
	check(errors.As(err, &failure) && failure.Code == "not-found", err)
	check(strings.Contains(failure.Message, "no-such-command"), err)
	fmt.Println("refused:", failure)
}
